"""Puts the parts together: one application for each event loop.

Clients keep network connections open, and these belong to an event loop; the host's worker has one loop. Nothing here
is state that another instance of the app would need.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import field
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Self, get_args
from weakref import WeakKeyDictionary

from azure.core.credentials_async import AsyncTokenCredential
from azure.identity.aio import ManagedIdentityCredential

from shared.access.sight import Sight
from shared.attention.board import AttentionBoard
from shared.clock import Clock, system_clock
from shared.connections.configure import ConnectionConfiguration
from shared.connections.grant.acceptance import TokenAcceptance
from shared.connections.grant.authorize import ConnectionAuthorization
from shared.connections.grant.client_credentials import ClientCredentialsGrant
from shared.connections.grant.lease import TOKENS, Lease
from shared.connections.grant.revocation import TokenRevocation
from shared.connections.grant.token_requests import TokenRequests
from shared.connections.grant.tokens import AccessTokens
from shared.connections.grant.unbroken_tokens import UnbrokenTokens
from shared.connections.model import TicketKind
from shared.connections.named_values import NamedValues
from shared.connections.options import ConnectionOptions
from shared.connections.ports import AuthorizationStore, ConnectionDirectory, ConnectionStore, SecretStore
from shared.connections.present import CustomerReading
from shared.connections.remove import ConnectionRemoval
from shared.connections.seen import SeenConnectionDirectory, SeenConnectionStore
from shared.connections.status import ConnectionHealth
from shared.connections.suggestions import KEEP_RECORDS, Suggestions, suggestions
from shared.connections.turns import Turns
from shared.evidence.ports import EvidenceStore
from shared.evidence.seen import SeenEvidenceStore
from shared.graph.microsoft_source import MicrosoftSource
from shared.log import log_event
from shared.outbound.transport import Transport
from shared.recommendations.lists import RecommendationLists
from shared.recommendations.ports import ClaimStore, RecommendationStore, Source
from shared.recommendations.seen import SeenClaimStore, SeenRecommendationStore
from shared.recommendations.ticketing.ticket_claims import TicketClaims
from shared.recommendations.ticketing.tickets_beside import RecommendationTickets
from shared.recommendations.verifying.waiting_times import WaitingTimes
from shared.service import service
from shared.servicenow.budgets import RequestBudgets
from shared.servicenow.client import ServiceNowClient, users_with
from shared.servicenow.fields import record_fields
from shared.servicenow.kinds import CREATING_ROLES
from shared.servicenow.oauth import ServiceNowOAuth
from shared.servicenow.transport import ServiceNowTransport
from shared.settings import Settings, SettingsInvalid
from shared.storage.authorizations import AzureAuthorizationStore
from shared.storage.connections import AzureConnectionStore
from shared.storage.customer_limits import AzureCustomerLimits
from shared.storage.directory import AzureConnectionDirectory
from shared.storage.evidence import AzureEvidenceStore
from shared.storage.idempotency import AzureIdempotencyStore
from shared.storage.leases import AzureLeaseStore
from shared.storage.recommendations import AzureClaimStore, AzureRecommendationStore
from shared.storage.request_budgets import AzureRequestBudgetStore
from shared.storage.requesters import AzureRequesterDirectory
from shared.storage.rows import RowReader
from shared.storage.secrets import open_secrets
from shared.storage.tables import open_tables
from shared.storage.tenants import AzureTenantStore
from shared.storage.tickets import AzureTicketStore
from shared.tenants.companies import TenantCompanies
from shared.tenants.ports import TenantStore
from shared.tenants.seen import SeenTenantStore, tenants_added_at
from shared.tickets.create import TicketCreation
from shared.tickets.deliver import TicketDelivery
from shared.tickets.known_records import TicketsKnownRecords
from shared.tickets.ports import IdempotencyStore, RequesterDirectory, StateModel, TicketStore
from shared.tickets.preview import TicketPreview
from shared.tickets.resend import TicketResending
from shared.tickets.search import TicketSearch
from shared.tickets.seen import SeenTicketStore
from shared.tickets.summary import Summary
from shared.tickets.updates.live import LiveRecords

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient

    from shared.check.course import CheckCourse, CheckStore
    from shared.check.preflight.ports import TrialStore
    from shared.check.preflight.run import Preflight
    from shared.check.run import ConnectionCheck
    from shared.connections.importing import ConnectionImport
    from shared.evidence.find import EvidenceSearch
    from shared.maintenance.run import Maintenance
    from shared.recommendations.files.importing import FileImport
    from shared.recommendations.reading.read import TenantReading
    from shared.recommendations.ticketing.bulk import TicketBatches
    from shared.recommendations.ticketing.create import RecommendationTicketing
    from shared.recommendations.ticketing.linking import TicketLinks
    from shared.recommendations.verifying.tenant import TenantVerification
    from shared.reminders.configure import ReminderConfiguration
    from shared.reminders.ports import ReminderStore
    from shared.reminders.turn import ReminderTurn
    from shared.storage.entity_transactions import EntityTransactions
    from shared.storage.work_queue import QueueService
    from shared.tenants.admin_consent import AdminConsents
    from shared.tenants.configure import TenantConfiguration
    from shared.tickets.data_exchange import DataExchange
    from shared.tickets.updates.people import TicketUpdates
    from shared.tickets.updates.send import UpdateDelivery


@service
class Application:
    """Everything a trigger can call."""

    settings: Settings
    clock: Clock
    sight: Sight
    connection_store: ConnectionStore
    authorizations: AuthorizationStore
    directory: ConnectionDirectory
    turns: Turns
    health: ConnectionHealth
    secret_store: SecretStore
    configuration: ConnectionConfiguration
    authorization: ConnectionAuthorization
    client_credentials: ClientCredentialsGrant
    removal: ConnectionRemoval
    token_lease: Lease
    tokens: AccessTokens
    options: ConnectionOptions
    named_values: NamedValues
    suggestions: Suggestions
    server: ServiceNowOAuth
    servicenow: ServiceNowClient
    requesters: RequesterDirectory
    open_trials: Callable[[], TrialStore]
    open_reminders: Callable[[], ReminderStore]
    outbound: Transport
    open_checks: Callable[[], CheckStore]
    tickets: TicketStore
    tenants: TenantStore
    companies: TenantCompanies
    source: Source
    waiting_times: WaitingTimes
    recommendations: RecommendationStore
    claims: ClaimStore
    recommendation_tickets: RecommendationTickets
    recommendation_lists: RecommendationLists
    ticket_claims: TicketClaims
    states: StateModel
    creating_roles: Mapping[TicketKind, Sequence[str]]
    search: TicketSearch
    reservations: IdempotencyStore
    creation: TicketCreation
    preview: TicketPreview
    delivery: TicketDelivery
    resending: TicketResending
    live_records: LiveRecords
    evidence: EvidenceStore
    customers: CustomerReading
    attention: AttentionBoard
    rows: RowReader
    credential: AsyncTokenCredential
    resources: AsyncExitStack
    file_turn: asyncio.Semaphore
    evidence_turn: asyncio.Semaphore
    made_maintenance: list[Maintenance] = field(default_factory=list)

    @property
    def check(self) -> ConnectionCheck:
        """Checks connections. It is loaded on first use, because few instances of the app ever need it."""
        from shared.check.run import ConnectionCheck

        return ConnectionCheck(
            connections=self.connection_store,
            turns=self.turns,
            tokens=self.tokens,
            server=self.server,
            users=self.servicenow.users,
            probe=self.servicenow.probe,
            tickets=self.tickets,
            preflight=self.preflight,
            clock=self.clock,
            redirect_uri=self.settings.redirect_uri,
            egress_addresses=self.settings.egress_addresses,
            sync_interval_s=self.settings.sync_interval_s,
        )

    @property
    def checks(self) -> CheckCourse:
        """Checks connections in the background, and keeps what was found; loaded on first use, like the check."""
        from shared.check.course import CheckCourse

        return CheckCourse(check=self.check, store=self.open_checks(), clock=self.clock)

    @property
    def preflight(self) -> Preflight:
        """Says what an instance will do with tickets. It is loaded on first use, because few requests need it."""
        from shared.check.preflight.run import TEST_TICKETS, Preflight

        return Preflight(
            columns=self.servicenow.columns,
            tickets=self.tickets,
            requesters=self.requesters,
            trials=self.open_trials(),
            record_fields=record_fields,
            companies=self.companies,
            lease=Lease(self.token_lease.leases, TEST_TICKETS),
            clock=self.clock,
        )

    @property
    def reminder_configuration(self) -> ReminderConfiguration:
        """Changes reminders. It is loaded on first use, because administrators rarely do that."""
        from shared.reminders.configure import REMINDER_SECRETS, ReminderConfiguration

        return ReminderConfiguration(
            connections=self.connection_store,
            store=self.open_reminders(),
            secrets=self.secret_store,
            turns=self.turns,
            lease=Lease(self.token_lease.leases, REMINDER_SECRETS),
            clock=self.clock,
            secret_lifetime=self.settings.secret_lifetime,
        )

    @property
    def reminder_turn(self) -> ReminderTurn:
        """Makes and sends reminders. It is loaded on first use, because few requests do."""
        from shared.recommendations.points import ConnectionPoints
        from shared.reminders.configure import REMINDER_SECRETS
        from shared.reminders.links import Links
        from shared.reminders.turn import ReminderTurn
        from shared.webhooks.sender import WebhookSender

        sender = WebhookSender(
            self.outbound, Links(self.settings.public_base_url), self.clock, self.settings.allowed_webhook_hosts
        )
        return ReminderTurn(
            store=self.open_reminders(),
            secrets=self.secret_store,
            sender=sender,
            tickets=self.tickets,
            points=ConnectionPoints(self.tenants, self.recommendations),
            lease=Lease(self.token_lease.leases, REMINDER_SECRETS),
            clock=self.clock,
            secret_lifetime=self.settings.secret_lifetime,
        )

    @property
    def file_import(self) -> FileImport:
        """Imports files. It is loaded on first use, because few instances of the app ever read a workbook."""
        from shared.recommendations.files.importing import FileImport

        return FileImport(
            tenants=self.tenants,
            store=self.recommendations,
            evidence=self.evidence,
            verification=self.verification,
            turn=self.file_turn,
            clock=self.clock,
        )

    @property
    def data_exchange(self) -> DataExchange:
        """Says what is exchanged and kept. It is loaded on first use, because few people ask."""
        from shared.graph.lists import list_address
        from shared.graph.transport import ListName
        from shared.maintenance.run import KEEP_AUTHORIZATIONS, KEEP_RESERVATIONS
        from shared.servicenow.record_updates import DETAILS, MARKER
        from shared.servicenow.records import CLOSING_FIELDS, FIELDS, TEXTS
        from shared.storage.requesters import KEEP_FOUND
        from shared.tickets.data_exchange import DataExchange, Kept

        lists = get_args(ListName.__value__)
        return DataExchange(
            record_fields=record_fields,
            read=list(
                dict.fromkeys((*FIELDS, *TEXTS, *chain.from_iterable(CLOSING_FIELDS.values()), *DETAILS, MARKER))
            ),
            kept=(
                Kept("tickets", "tickets"),
                Kept("connections", "connections"),
                Kept("evidence", "evidence", self.settings.evidence_retention),
                Kept("idempotency", "idempotency", KEEP_RESERVATIONS),
                Kept("requesters", "directory", KEEP_FOUND),
                Kept("authorizations", "authorizations", KEEP_AUTHORIZATIONS),
                Kept("tenants", "tenants"),
                Kept("recommendations", "recommendations"),
                Kept("names", "memory", KEEP_RECORDS, is_table=False),
                Kept("secrets", "Key Vault", self.settings.secret_lifetime, is_table=False),
                Kept("logs", "Application Insights", is_table=False),
            ),
            microsoft=[list_address(self.settings.graph_url, each) for each in lists],
        )

    @property
    def connection_import(self) -> ConnectionImport:
        """Adds many connections. It is loaded on first use, because hardly any request does."""
        from shared.connections.importing import ConnectionImport

        return ConnectionImport(self.configuration, self.connection_store)

    @property
    def evidence_search(self) -> EvidenceSearch:
        """Answers auditors. It is loaded on first use, because few instances of the app ever do."""
        from shared.evidence.find import EvidenceSearch

        return EvidenceSearch(self.evidence, self.settings.evidence_retention, self.evidence_turn, self.clock)

    @property
    def recommendation_ticketing(self) -> RecommendationTicketing:
        """Makes tickets from recommendations. It is loaded on first use, because it loads what reads HTML."""
        from shared.recommendations.ticketing.create import RecommendationTicketing

        return RecommendationTicketing(
            tenants=self.tenants,
            recommendations=self.recommendations,
            connections=self.connection_store,
            creation=self.creation,
            clock=self.clock,
            portal_url=self.settings.security_portal_url,
        )

    @property
    def batches(self) -> TicketBatches:
        """Makes many tickets at once. It is loaded on first use, because it loads what reads HTML."""
        from shared.recommendations.ticketing.bulk import TicketBatches

        return TicketBatches(
            tenants=self.tenants,
            recommendations=self.recommendations,
            beside=self.recommendation_tickets,
            batches=self.claims,
            claims=self.ticket_claims,
            connections=self.connection_store,
            creation=self.creation,
            store=self.tickets,
            delivery=self.delivery,
            turns=self.turns,
            clock=self.clock,
            portal_url=self.settings.security_portal_url,
        )

    @property
    def maintenance(self) -> Maintenance:
        """Does what the timer does. It is made on first use, because the timer runs on one instance of the app.

        From then on it is the same: it remembers when it last listed the connections.
        """
        if not self.made_maintenance:
            self.made_maintenance.append(self._new_maintenance())
        return self.made_maintenance[0]

    def _new_maintenance(self) -> Maintenance:
        from shared.connections.grant.secret_renewal import SecretRenewal
        from shared.maintenance.fan_out import FanOut
        from shared.maintenance.plan import Planner
        from shared.maintenance.run import CONNECTIONS, Maintenance
        from shared.maintenance.serve import ConnectionWork
        from shared.maintenance.tenants import TENANTS, TenantWork
        from shared.tickets.closings import ClosingReading
        from shared.tickets.reconcile import TicketReconciliation
        from shared.tickets.recording import EvidenceRecording
        from shared.tickets.sync import TicketSync

        queues = self._open_queues()
        to_serve = None if queues is None else queues.queue(self.settings.maintain_queue)
        to_read = None if queues is None else queues.queue(self.settings.read_queue)
        return Maintenance(
            settings=self.settings,
            planner=Planner(self.directory, self.connection_store, self.settings, self.clock),
            fan_out=FanOut(to_serve, CONNECTIONS, lambda entry: (entry.connection_id, entry.etag), self.clock),
            work=ConnectionWork(
                settings=self.settings,
                connections=self.connection_store,
                turns=self.turns,
                store=self.tickets,
                tokens=self.tokens,
                renewal=SecretRenewal(
                    self.connection_store,
                    self.secret_store,
                    self.token_lease,
                    self.clock,
                    self.settings.secret_lifetime,
                ),
                health=self.health,
                delivery=self.delivery,
                updates=self.update_delivery,
                sync=TicketSync(self.tickets, self.servicenow.records, self.clock),
                reconciliation=TicketReconciliation(self.tickets, self.servicenow.records, self.clock),
                closings=ClosingReading(self.tickets, self.servicenow.records, self.clock),
                recording=EvidenceRecording(self.tickets, self.evidence, self.clock),
                reminders=self.reminder_turn,
                clock=self.clock,
            ),
            tenants=TenantWork(
                self.tenants,
                FanOut(to_read, TENANTS, lambda tenant: (tenant.tenant_id, tenant.etag), self.clock),
                self.tenant_reading,
                self.clock,
            ),
            authorizations=self.authorizations,
            reservations=self.reservations,
            evidence=self.evidence,
            clock=self.clock,
        )

    def _open_queues(self) -> QueueService | None:
        """Return the queues for work; None if the deployment has none."""
        if self.settings.work_queue_url is None:
            return None
        from shared.storage.work_queue import QueueService

        queues = QueueService(self.settings.work_queue_url, self.credential)
        self.resources.push_async_callback(queues.aclose)
        return queues

    @property
    def tenant_reading(self) -> TenantReading:
        """Reads tenants. It is loaded on first use, because hardly any request does."""
        from shared.recommendations.reading.read import TenantReading

        return TenantReading(
            self.tenants, self.recommendations, self.source, self.evidence, self.verification, self.clock
        )

    @property
    def verification(self) -> TenantVerification:
        """Decides what became of a tenant's tickets. It is loaded on first use, as what reads tenants is."""
        from shared.recommendations.verifying.tenant import TenantVerification

        return TenantVerification(
            claims=self.claims,
            recommendations=self.recommendations,
            tickets=self.tickets,
            connections=self.connection_store,
            turns=self.turns,
            waits=self.waiting_times,
            clock=self.clock,
        )

    @property
    def tenant_configuration(self) -> TenantConfiguration:
        """Adds, changes and removes tenants. It is loaded on first use, because administrators rarely do that."""
        from shared.recommendations.verifying.removed import RemovedTenants
        from shared.tenants.configure import TenantConfiguration

        content = RemovedTenants(self.recommendations, self.verification)
        return TenantConfiguration(self.tenants, self.connection_store, content, self.clock)

    @property
    def admin_consents(self) -> AdminConsents:
        """Asks customers for their consent. It is loaded on first use, because administrators rarely do that."""
        from shared.tenants.admin_consent import AdminConsents

        settings = self.settings
        return AdminConsents(
            self.tenants,
            self.clock,
            client_id=settings.graph_client_id,
            authority_url=settings.authority_url,
            scope=f"{settings.graph_url}/.default",
            redirect_uri=settings.consent_redirect_uri,
        )

    @property
    def links(self) -> TicketLinks:
        """Links tickets to recommendations. It is loaded on first use, because few requests do."""
        from shared.recommendations.ticketing.linking import TicketLinks

        return TicketLinks(
            self.ticket_claims, self.tickets, self.search, self.tenants, self.recommendations, self.clock
        )

    @property
    def updates(self) -> TicketUpdates:
        """Takes what people ask of a record. It is loaded on first use, because few requests do."""
        from shared.tickets.updates.people import TicketUpdates

        return TicketUpdates(self.tickets, self.update_delivery, self.reservations, self.turns, self.clock)

    @property
    def update_delivery(self) -> UpdateDelivery:
        """Sends updates to ServiceNow. It is loaded on first use, as the timer and what people ask need it."""
        from shared.recommendations.ticketing.follow_ups import FollowUpTickets
        from shared.tickets.updates.send import UpdateDelivery

        follow_ups = FollowUpTickets(
            tenants=self.tenants,
            recommendations=self.recommendations,
            connections=self.connection_store,
            beside=self.recommendation_tickets,
            store=self.tickets,
            creation=self.creation,
            clock=self.clock,
            portal_url=self.settings.security_portal_url,
        )
        return UpdateDelivery(
            store=self.tickets,
            records=self.servicenow.record_updates,
            follow_ups=follow_ups,
            claims=self.ticket_claims,
            notes=self.delivery.notes,
            clock=self.clock,
        )

    async def aclose(self) -> None:
        """Close all network connections; only needed in a process that continues without the application."""
        await self.resources.aclose()

    async def summaries(self, connection_ids: Sequence[str]) -> Sequence[Summary]:
        """Return the exact counts of each connection. Raises StorageUnavailable."""
        return await asyncio.gather(*(self.tickets.get_summary(connection_id) for connection_id in connection_ids))

    @classmethod
    def build(cls, settings: Settings, credential: AsyncTokenCredential, clock: Clock = system_clock) -> Self:
        """Put the parts together without sending anything. Raises SettingsInvalid if a setting cannot be used."""
        secrets = open_secrets(settings, credential, clock)
        tables = open_tables(settings, credential)
        outbound = Transport()
        resources = AsyncExitStack()
        for close in (tables.aclose, secrets.aclose, outbound.aclose, credential.close):
            resources.push_async_callback(close)
        rows = RowReader(clock)
        budgets = RequestBudgets(AzureRequestBudgetStore(tables.directory, rows), clock)
        transport = ServiceNowTransport(outbound, budgets=budgets, clock=clock)
        server = ServiceNowOAuth(transport)
        sight = Sight(AzureCustomerLimits(tables.directory, rows), clock)
        connections = SeenConnectionStore(AzureConnectionStore(tables.connections, rows), sight)
        authorizations = AzureAuthorizationStore(tables.authorizations, tables.transactions, rows)
        directory = SeenConnectionDirectory(AzureConnectionDirectory(tables.directory, rows), sight)
        customers = CustomerReading(connections, directory, sight, clock)
        turns = Turns(directory, connections, clock)
        leases = AzureLeaseStore(tables.connections, clock)
        tickets = SeenTicketStore(AzureTicketStore(tables.tickets, tables.transactions, rows), sight)
        tenants = SeenTenantStore(AzureTenantStore(tables.tenants, rows), sight)
        evidence = SeenEvidenceStore(
            AzureEvidenceStore(tables.evidence, tables.transactions, rows), sight, partial(tenants_added_at, tenants)
        )
        reservations = AzureIdempotencyStore(tables.idempotency, rows)
        health = ConnectionHealth(connections, clock)
        token_lease = Lease(leases, TOKENS)
        revocation = TokenRevocation(connections, secrets, server)
        tokens = AccessTokens(
            connections=connections,
            lease=token_lease,
            secrets=secrets,
            requests=TokenRequests(
                secrets=secrets,
                server=server,
                users_with=partial(users_with, transport),
                revocation=revocation,
                clock=clock,
            ),
            health=health,
            clock=clock,
        )
        unbroken = UnbrokenTokens(tokens)
        servicenow = ServiceNowClient(transport, unbroken)
        acceptance = TokenAcceptance(
            connections=connections,
            secrets=secrets,
            users=servicenow.users,
            visibility=servicenow.visibility,
            records=TicketsKnownRecords(tickets),
            revocation=revocation,
            clock=clock,
        )
        named_values = NamedValues(connections, unbroken, servicenow.columns)
        requesters = AzureRequesterDirectory(tables.directory, servicenow.users, clock)
        search = TicketSearch(connections, tickets)
        delivery = TicketDelivery(tickets, servicenow.records, requesters, health, clock)
        recommendations = SeenRecommendationStore(
            AzureRecommendationStore(tables.recommendations, tables.transactions, clock, rows), tenants.is_hidden
        )
        source = MicrosoftSource(
            outbound,
            credential,
            settings.graph_url,
            clock,
            authority_url=settings.authority_url,
            client_id=settings.graph_client_id,
        )
        resources.push_async_callback(source.aclose)
        claims = SeenClaimStore(AzureClaimStore(tables.recommendations, rows), tenants.is_hidden)
        ticket_claims = TicketClaims(claims, tickets, connections, clock)
        companies = TenantCompanies(tenants, clock)
        creation = TicketCreation(
            connections, tickets, reservations, search, ticket_claims, turns, delivery, companies, clock
        )
        tickets_beside = RecommendationTickets(claims, tickets, connections)
        open_reminders = partial(_open_reminders, tables.connections, tables.transactions, rows, sight)
        return cls(
            settings=settings,
            clock=clock,
            sight=sight,
            connection_store=connections,
            authorizations=authorizations,
            directory=directory,
            turns=turns,
            health=health,
            secret_store=secrets,
            configuration=ConnectionConfiguration(
                connections=connections,
                secrets=secrets,
                revocation=revocation,
                lease=token_lease,
                turns=turns,
                sight=sight,
                clock=clock,
                secret_lifetime=settings.secret_lifetime,
                allowed_hosts=settings.allowed_servicenow_hosts,
                allow_loopback_http=settings.allow_loopback_http,
            ),
            authorization=ConnectionAuthorization(
                connections=connections,
                authorizations=authorizations,
                server=server,
                acceptance=acceptance,
                lease=token_lease,
                turns=turns,
                clock=clock,
                redirect_uri=settings.redirect_uri,
            ),
            client_credentials=ClientCredentialsGrant(connections, server, acceptance, token_lease, turns, clock),
            removal=ConnectionRemoval(
                connections,
                secrets,
                revocation,
                token_lease,
                turns,
                clock,
                partial(_forget_reminders, open_reminders, secrets),
            ),
            token_lease=token_lease,
            tokens=tokens,
            options=ConnectionOptions(unbroken, servicenow.catalogue),
            named_values=named_values,
            suggestions=suggestions(named_values, clock),
            server=server,
            servicenow=servicenow,
            requesters=requesters,
            open_trials=partial(_open_trials, tables.connections, rows, sight),
            open_reminders=open_reminders,
            outbound=outbound,
            open_checks=partial(_open_checks, tables.connections, rows, sight),
            tickets=tickets,
            tenants=tenants,
            companies=companies,
            source=source,
            waiting_times=_waiting_times(settings),
            recommendations=recommendations,
            claims=claims,
            ticket_claims=ticket_claims,
            recommendation_tickets=tickets_beside,
            recommendation_lists=RecommendationLists(recommendations, tickets_beside),
            states=servicenow.states,
            creating_roles=CREATING_ROLES,
            search=search,
            reservations=reservations,
            creation=creation,
            preview=TicketPreview(creation, record_fields),
            delivery=delivery,
            resending=TicketResending(tickets, delivery, ticket_claims, turns, clock),
            live_records=LiveRecords(servicenow.record_updates),
            evidence=evidence,
            customers=customers,
            attention=AttentionBoard(
                customers=customers,
                tenants=tenants,
                tickets=tickets,
                sight=sight,
                unreadable_rows=lambda: len(rows.unreadable),
                sync_interval=timedelta(seconds=settings.sync_interval_s),
                clock=clock,
            ),
            rows=rows,
            credential=credential,
            resources=resources,
            file_turn=asyncio.Semaphore(1),
            evidence_turn=asyncio.Semaphore(1),
        )


def _open_trials(table: TableClient, rows: RowReader, sight: Sight) -> TrialStore:
    """Return the store of test tickets. It is loaded on first use, because few requests need it."""
    from shared.check.seen import SeenTrialStore
    from shared.storage.trials import AzureTrialStore

    return SeenTrialStore(AzureTrialStore(table, rows), sight)


def _open_reminders(
    table: TableClient, transactions: EntityTransactions, rows: RowReader, sight: Sight
) -> ReminderStore:
    """Return the store of reminders. It is loaded on first use, because few requests need it."""
    from shared.reminders.seen import SeenReminderStore
    from shared.storage.reminders import AzureReminderStore

    return SeenReminderStore(AzureReminderStore(table, transactions, rows), sight)


async def _forget_reminders(
    open_reminders: Callable[[], ReminderStore], secrets: SecretStore, connection_id: str
) -> None:
    """Remove what belongs to the reminders of a connection. Raises StorageUnavailable."""
    from shared.reminders.configure import forget_reminders

    await forget_reminders(open_reminders(), secrets, connection_id)


def _open_checks(table: TableClient, rows: RowReader, sight: Sight) -> CheckStore:
    # Loaded on first use, because few requests need it.
    from shared.check.seen import SeenCheckStore
    from shared.storage.checks import AzureCheckStore

    return SeenCheckStore(AzureCheckStore(table, rows), sight)


def _waiting_times(settings: Settings) -> WaitingTimes:
    return WaitingTimes(
        default=timedelta(hours=settings.verify_after_h),
        entra=timedelta(days=settings.verify_after_entra_days),
        teams=timedelta(days=settings.verify_after_teams_days),
        quiet=timedelta(days=settings.regression_quiet_days),
    )


_applications: WeakKeyDictionary[asyncio.AbstractEventLoop, Application] = WeakKeyDictionary()


def usable_settings() -> Settings | None:
    """Return the settings, for what every page shows; None if they cannot be used, which a page then says."""
    try:
        return Settings.from_environment(os.environ)
    except SettingsInvalid:
        return None


def application() -> Application:
    """Return the application of the running event loop; the first call builds it from the environment.

    Raises SettingsInvalid if a setting is missing or cannot be used; the log names it.
    """
    loop = asyncio.get_running_loop()
    found = _applications.get(loop)
    if found is None:
        try:
            settings = Settings.from_environment(os.environ)
            credential = ManagedIdentityCredential(client_id=settings.managed_identity_client_id)
            found = _applications[loop] = Application.build(settings, credential)
        except SettingsInvalid as error:
            log_event("settings_invalid", level=logging.ERROR, faults=error.faults)
            raise
    return found
