"""Registers the functions of the app; everything else is in ``shared/``."""

import gc

# Modules live as long as the app: looking for garbage among them, again and again as they grow, took a twelfth of the
# time of each cold start. Freezing them spares the collections of later requests the same search.
gc.disable()

import azure.functions as func

from shared.triggers import (
    account_pages,
    attention_api,
    attention_pages,
    authorization_pages,
    bulk_pages,
    check_pages,
    configuration_pages,
    connection_imports,
    connection_pages,
    connections_api,
    consent_pages,
    data_pages,
    evidence_api,
    evidence_pages,
    file_imports,
    home_pages,
    maintain_queues,
    maintain_timer,
    portfolio_api,
    portfolio_pages,
    preflight_api,
    preflight_pages,
    provisioning_pages,
    recommendation_list_pages,
    recommendation_pages,
    recommendations_api,
    refresh,
    reminder_pages,
    reminders_api,
    report_pages,
    service_api,
    site_pages,
    tenant_pages,
    tenants_api,
    ticket_list_pages,
    ticket_pages,
    ticket_resend_pages,
    ticket_update_pages,
    ticket_updates_api,
    tickets_api,
)

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

for module in (
    connections_api,
    connection_imports,
    file_imports,
    authorization_pages,
    tickets_api,
    recommendations_api,
    reminder_pages,
    reminders_api,
    evidence_api,
    evidence_pages,
    report_pages,
    portfolio_api,
    portfolio_pages,
    bulk_pages,
    service_api,
    home_pages,
    attention_api,
    attention_pages,
    refresh,
    recommendation_list_pages,
    recommendation_pages,
    ticket_list_pages,
    ticket_pages,
    ticket_resend_pages,
    ticket_update_pages,
    ticket_updates_api,
    provisioning_pages,
    connection_pages,
    account_pages,
    configuration_pages,
    check_pages,
    preflight_api,
    preflight_pages,
    data_pages,
    tenants_api,
    consent_pages,
    tenant_pages,
    site_pages,
    maintain_timer,
    maintain_queues,
):
    app.register_functions(module.blueprint)

gc.freeze()
gc.enable()
