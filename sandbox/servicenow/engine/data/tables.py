"""The tables of a new instance: their parents and columns (ServiceNow §5)."""

from sandbox.servicenow.engine.data.dictionary import Column, ColumnKind, Table


def _strings(length: int, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, length=length) for name in names)


def _flags(*names: str, default: str = "false") -> tuple[Column, ...]:
    return tuple(Column(name, "boolean", default=default) for name in names)


def _dates(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "date_time") for name in names)


def _references(table: str, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "reference", reference=table, length=32) for name in names)


def _choices(kind: ColumnKind, *names: str, default: str = "") -> tuple[Column, ...]:
    return tuple(Column(name, kind, default=default, has_choices=True) for name in names)


TASK = Table(
    "task",
    "Task",
    (
        Column("number", label="Number", length=40),
        Column("short_description", label="Short description", length=160),
        Column("description", label="Description", length=4000),
        Column("sys_class_name", label="Task type", length=80),
        Column("state", "integer", "State", default="1", has_choices=True),
        Column("priority", "integer", "Priority", default="4", has_choices=True),
        Column("impact", "integer", "Impact", default="3", has_choices=True),
        Column("urgency", "integer", "Urgency", default="3", has_choices=True),
        Column("active", "boolean", "Active", default="true"),
        Column("due_date", "date_time", "Due date"),
        *_dates("expected_start", "work_start", "work_end", "closed_at", "opened_at", "approval_set", "follow_up"),
        Column("activity_due", "date_time", shown_empty="UNKNOWN"),
        Column("sla_due", "date_time", shown_empty="UNKNOWN"),
        Column("assignment_group", "reference", "Assignment group", 32, reference="sys_user_group"),
        Column("assigned_to", "reference", "Assigned to", 32, reference="sys_user"),
        Column("opened_by", "reference", "Opened by", 32, reference="sys_user"),
        Column("closed_by", "reference", "Closed by", 32, reference="sys_user"),
        *_strings(100, "correlation_id", "correlation_display"),
        Column("comments", "journal", "Additional comments", 4000),
        Column("work_notes", "journal", "Work notes", 4000),
        Column("comments_and_work_notes", "journal", "Comments and Work notes", 4000, read_only=True),
        Column("close_notes", label="Close notes", length=4000),
        Column("contact_type", label="Contact type", has_choices=True),
        Column("approval", label="Approval", default="not requested", has_choices=True),
        Column("escalation", "integer", "Escalation", default="0", read_only=True, has_choices=True),
        Column("reassignment_count", "integer", "Reassignment count", default="0", read_only=True),
        *_flags("made_sla", default="true"),
        *_flags("knowledge"),
        Column("upon_approval", default="proceed", has_choices=True),
        Column("upon_reject", default="cancel", has_choices=True),
        Column("cmdb_ci", "reference", "Configuration item", 32, reference="cmdb_ci"),
        *_references("cmdb_ci", "business_service", "service_offering"),
        *_references("core_company", "company"),
        *_references("cmn_location", "location"),
        *_references("task", "parent"),
        Column("time_worked", "duration"),
        Column("business_duration", "duration"),
        Column("calendar_duration", "duration"),
        Column("order", "integer"),
        Column("sys_domain", "reference", "Domain", 32, "global", "sys_user_group"),
        Column("sys_domain_path", default="/", length=255),
    ),
    display="number",
    number_prefix="TASK",
)

INCIDENT = Table(
    "incident",
    "Incident",
    (
        Column("caller_id", "reference", "Caller", 32, reference="sys_user"),
        Column("incident_state", "integer", "Incident state", default="1", has_choices=True),
        Column("category", label="Category", default="inquiry", has_choices=True),
        Column("subcategory", label="Subcategory", has_choices=True),
        Column("severity", "integer", "Severity", default="3", has_choices=True),
        Column("close_code", label="Resolution code", has_choices=True),
        Column("hold_reason", "integer", "On hold reason", has_choices=True),
        Column("resolved_at", "date_time", "Resolved"),
        Column("resolved_by", "reference", "Resolved by", 32, reference="sys_user"),
        Column("reopen_count", "integer", "Reopen count", default="0"),
        Column("reopened_by", "reference", "Reopened by", 32, reference="sys_user"),
        Column("reopened_time", "date_time"),
        Column("notify", "integer", "Notify", default="1", has_choices=True),
        *_references("problem", "problem_id"),
        *_references("change_request", "rfc", "caused_by"),
        *_references("incident", "parent_incident"),
        Column("child_incidents", "integer", default="0"),
        *_strings(4000, "business_impact", "cause"),
        Column("business_stc", "integer"),
        Column("calendar_stc", "integer"),
    ),
    parent="task",
    display="number",
    number_prefix="INC",
)

CHANGE_REQUEST = Table(
    "change_request",
    "Change Request",
    (
        Column("state", "integer", "State", default="-5", has_choices=True),
        Column("type", label="Type", default="normal", has_choices=True),
        *_references("chg_model", "chg_model"),
        Column("category", label="Category", default="Other", has_choices=True),
        Column("risk", "integer", "Risk", default="3", has_choices=True),
        Column("reason", label="Reason", has_choices=True),
        *_dates("start_date", "end_date", "requested_by_date", "cab_date_time", "conflict_last_run"),
        Column("justification", label="Justification", length=4000),
        Column("implementation_plan", label="Implementation plan", length=4000),
        Column("backout_plan", label="Backout plan", length=4000),
        Column("test_plan", label="Test plan", length=4000),
        Column("risk_impact_analysis", label="Risk and impact analysis", length=4000),
        Column("close_code", label="Close code", has_choices=True),
        Column("on_hold", "boolean", "On hold", default="false"),
        Column("on_hold_reason", label="On hold reason", length=4000),
        Column("std_change_producer_version", "reference", "Standard change", 32, "", "std_change_producer_version"),
        *_references("sys_user", "requested_by", "cab_delegate"),
        *_references("change_request", "copied_from"),
        Column("conflict_status", label="Conflict status", default="Not Run", has_choices=True),
        *_flags("cab_required", "production_system", "unauthorized", "outside_maintenance_schedule"),
        *_strings(4000, "cab_recommendation"),
        Column("cab_date", "date"),
        Column("scope", "integer", default="3", has_choices=True),
        Column("phase", default="requested", has_choices=True),
        Column("phase_state", default="open", has_choices=True),
        Column("review_status", "integer", has_choices=True),
        Column("review_date", "date"),
        *_strings(4000, "review_comments"),
    ),
    parent="task",
    display="number",
    number_prefix="CHG",
)

PROBLEM = Table(
    "problem",
    "Problem",
    (
        Column("state", "integer", "State", default="101", has_choices=True),
        Column("problem_state", "integer", "Problem state", default="101", has_choices=True),
        Column("category", label="Category", has_choices=True),
        Column("subcategory", label="Subcategory", has_choices=True),
        Column("resolution_code", label="Resolution code", has_choices=True),
        Column("cause_notes", label="Cause notes", length=4000),
        Column("fix_notes", label="Fix notes", length=4000),
        Column("workaround", label="Workaround", length=4000),
        Column("known_error", "boolean", "Known error", default="false"),
        *_references("prb_model", "prb_model"),
        *_references("task", "first_reported_by_task"),
        *_references("sys_user", "resolved_by", "confirmed_by", "fix_by"),
        *_dates("resolved_at", "confirmed_at", "fix_at"),
        Column("related_incidents", "integer", default="0", read_only=True),
        Column("reopen_count", "integer", default="0", read_only=True),
        *_flags("major_problem"),
    ),
    parent="task",
    display="number",
    number_prefix="PRB",
)

SC_TASK = Table(
    "sc_task",
    "Catalog Task",
    (
        *_references("task", "request_item", "request"),
        *_references("sc_cat_item", "cat_item"),
    ),
    parent="task",
    display="number",
    number_prefix="SCTASK",
)

USER = Table(
    "sys_user",
    "User",
    (
        Column("user_name", label="User ID", length=40),
        Column("name", label="Name", length=151),
        Column("first_name", label="First name", length=50),
        Column("last_name", label="Last name", length=50),
        Column("middle_name", length=50),
        Column("email", label="Email", length=100),
        *_strings(40, "phone", "mobile_phone", "home_phone", "employee_number", "gender", "preferred_language"),
        *_strings(60, "title"),
        *_strings(40, "city", "state", "zip", "country"),
        *_strings(255, "street", "source", "ldap_server", "photo", "avatar", "sso_source"),
        Column("active", "boolean", "Active", default="true"),
        Column("locked_out", "boolean", "Locked out", default="false"),
        Column("web_service_access_only", "boolean", "Web service access only", default="false"),
        Column("internal_integration_user", "boolean", "Internal Integration User", default="false"),
        Column("identity_type", label="Identity type", default="unclassified", has_choices=True),
        Column("time_zone", label="Time zone", length=40),
        Column("date_format", label="Date format", length=40),
        Column("time_format", label="Time format", length=40),
        Column("password_needs_reset", "boolean", "Password needs reset", default="false"),
        Column("user_password", "password", "Password", 255),
        Column("failed_attempts", "integer", default="0"),
        *_dates("last_login_time"),
        Column("last_login", "date"),
        *_references("sys_user", "manager"),
        *_references("cmn_department", "department"),
        *_references("core_company", "company"),
        *_references("cmn_location", "location"),
        *_flags("vip", "enable_multifactor_authn"),
        Column("notification", "integer", default="2", has_choices=True),
        Column("calendar_integration", "integer", default="1", has_choices=True),
        Column("sys_domain", "reference", "Domain", 32, "global", "sys_user_group"),
        Column("sys_domain_path", default="/", length=255),
    ),
    display="name",
)

OAUTH_ENTITY = Table(
    "oauth_entity",
    "Application Registry",
    (
        Column("name", label="Name", length=100),
        Column("type", default="client", has_choices=True),
        Column("client_id", label="Client ID", length=255),
        Column("client_secret", "password", "Client Secret", 4096),
        Column("redirect_url", label="Redirect URL", length=4000),
        Column("logo_url", label="Logo URL", length=1024),
        *_flags("active", default="true"),
        Column("access_token_lifespan", "integer", default="1800"),
        Column("refresh_token_lifespan", "integer", default="8640000"),
        Column("auth_code_lifespan", "integer", default="60"),
        *_flags("public_client", "use_pkce", "disable_consent"),
        Column("token_format", default="opaque", has_choices=True),
        Column("sub_claim", length=100),
        Column("client_type", default="integration_as_a_user", length=100, has_choices=True),
        *_references("sys_user", "user"),
        Column("inbound_grant_type", default="authz_code", length=100),
        Column("default_grant_type", default="authorization_code", length=100),
        Column("scope_restriction_status", default="unrestricted", length=255),
        Column("comments", length=4000),
        Column("jwt_provider", length=32),
    ),
    display="name",
)

OAUTH_CREDENTIAL = Table(
    "oauth_credential",
    "OAuth Credential",
    (
        Column("token", label="Token", length=4096),
        Column("type", label="Type", has_choices=True),
        Column("expires", "date_time", "Expires"),
        Column("token_received", "date_time", "Token Received"),
        *_references("oauth_entity", "peer"),
        *_references("sys_user", "user"),
        *_strings(255, "scope"),
        *_strings(32, "oauth_requestor_profile"),
    ),
)


def _named(name: str, label: str, *columns: Column, display: str = "name", parent: str = "") -> Table:
    return Table(name, label, (Column("name", label="Name", length=100), *columns), parent=parent, display=display)


TABLES: tuple[Table, ...] = (
    TASK,
    INCIDENT,
    CHANGE_REQUEST,
    PROBLEM,
    SC_TASK,
    USER,
    OAUTH_ENTITY,
    OAUTH_CREDENTIAL,
    Table(
        "user_multifactor_auth",
        "User Multi-factor Authentication",
        (
            *_references("sys_user", "user"),
            Column("multi_factor_secret", "password", "Secret", 255),
            *_flags("validated"),
            Column("postponed", "integer", default="0"),
        ),
    ),
    _named("sys_user_role", "Role", *_strings(1000, "description"), *_flags("elevated_privilege", "grantable")),
    Table(
        "sys_user_has_role",
        "User Role",
        (
            *_references("sys_user", "user"),
            *_references("sys_user_role", "role", "included_in_role"),
            *_references("sys_user_group", "granted_by"),
            Column("state", default="active", has_choices=True),
            *_flags("inherited"),
            Column("inh_count", "integer", default="0"),
        ),
    ),
    _named(
        "sys_user_group",
        "Group",
        *_strings(1000, "description", "type"),
        *_strings(100, "email", "source"),
        *_references("sys_user", "manager"),
        *_references("sys_user_group", "parent"),
        *_flags("active", default="true"),
        *_flags("include_members", "exclude_manager"),
        Column("default_assignee", "reference", reference="sys_user", length=32),
    ),
    Table(
        "sys_user_grmember",
        "Group Member",
        (*_references("sys_user", "user"), *_references("sys_user_group", "group")),
    ),
    Table(
        "sys_user_visibility",
        "Visibility Domain",
        (*_references("sys_user", "user"), *_references("sys_user_group", "domain")),
    ),
    Table(
        "sys_choice",
        "Choice",
        (
            Column("name", label="Table", length=80),
            Column("element", label="Element", length=80),
            Column("value", label="Value", length=80),
            Column("label", label="Label", length=80),
            Column("language", default="en"),
            Column("sequence", "integer"),
            *_flags("inactive"),
            *_strings(80, "dependent_value"),
            *_strings(255, "hint"),
        ),
        display="label",
    ),
    Table(
        "sys_journal_field",
        "Journal Entry",
        (
            *_strings(80, "name", "element"),
            *_strings(32, "element_id"),
            Column("value", length=4000),
        ),
    ),
    _named(
        "sys_properties",
        "System Property",
        Column("value", length=4000),
        Column("type", default="string", length=40),
        *_strings(1000, "description", "choices"),
        *_flags("is_private"),
    ),
    _named(
        "sys_db_object",
        "Table",
        *_strings(80, "label"),
        *_references("sys_db_object", "super_class"),
        *_flags("ws_access", "is_extendable", "read_access", default="true"),
        Column("access", label="Accessible from", default="public"),
        *_strings(80, "sys_name"),
        display="label",
    ),
    Table(
        "sys_dictionary",
        "Dictionary Entry",
        (
            *_strings(80, "name", "element", "internal_type", "reference", "column_label"),
            Column("max_length", "integer"),
            *_strings(255, "default_value"),
            *_flags("mandatory", "read_only", "display"),
            *_flags("active", default="true"),
            Column("choice", "integer"),
        ),
        display="column_label",
    ),
    Table(
        "sys_documentation",
        "Field Label",
        (*_strings(80, "name", "element", "label"), Column("language", default="en")),
        display="label",
    ),
    Table(
        "sys_data_policy2",
        "Data Policy",
        (
            *_strings(80, "model_table"),
            Column("short_description", length=100),
            Column("conditions", length=4000),
            *_flags("active", "inherit", "apply_import_set", "apply_soap", default="true"),
            *_flags("reverse_if_false", default="true"),
            *_flags("enforce_ui"),
        ),
        display="short_description",
    ),
    Table(
        "sys_data_policy_rule",
        "Data Policy Rule",
        (
            *_references("sys_data_policy2", "sys_data_policy"),
            *_strings(80, "table", "field"),
            Column("mandatory", default="ignore"),
            Column("disabled", default="ignore"),
        ),
        display="field",
    ),
    Table(
        "sys_ui_policy",
        "UI Policy",
        (
            *_strings(80, "table"),
            Column("short_description", length=100),
            Column("conditions", length=4000),
            *_flags("active", "global", "on_load", "reverse_if_false", default="true"),
            *_flags("inherit"),
        ),
        display="short_description",
    ),
    Table(
        "sys_ui_policy_action",
        "UI Policy Action",
        (
            *_references("sys_ui_policy", "ui_policy"),
            *_strings(80, "table", "field"),
            *(Column(name, default="ignore") for name in ("mandatory", "disabled", "visible")),
        ),
        display="field",
    ),
    _named(
        "sys_script",
        "Business Rule",
        *_strings(80, "collection"),
        Column("when", default="before", has_choices=True),
        *_flags("active", "action_insert", "action_update", default="true"),
        *_flags("action_delete", "abort_action"),
        Column("filter_condition", length=4000),
        Column("template", label="Set field values", length=4000),
        Column("order", "integer", default="100"),
    ),
    _named(
        "ip_access",
        "IP Address Access Control",
        *_strings(40, "type", "range_start", "range_end"),
        *_flags("active", default="true"),
    ),
    _named(
        "sys_api_access_policy",
        "REST API Access Policy",
        *_strings(100, "rest_api_path", "http_method", "resource_table", "auth_types", "roles", "ip_ranges"),
        *_flags("active", default="true"),
        *_flags("advertise_all_auth_schemes"),
    ),
    _named("sys_auth_scope", "Authentication Scope", *_strings(1000, "description")),
    Table(
        "sys_api_access_scope",
        "REST API Auth Scope",
        (
            *_references("sys_auth_scope", "auth_scope"),
            *_strings(100, "rest_api_path", "http_method", "resource_table"),
        ),
    ),
    Table(
        "oauth_entity_auth_scope_mapping",
        "OAuth Entity Auth Scope",
        (*_references("oauth_entity", "oauth_entity"), *_references("sys_auth_scope", "auth_scope")),
    ),
    _named(
        "cmdb_ci", "Configuration Item", *_strings(255, "asset_tag", "serial_number"), *_strings(80, "sys_class_name")
    ),
    _named("core_company", "Company"),
    _named("cmn_location", "Location", *_strings(100, "city", "country")),
    _named("cmn_department", "Department", *_references("sys_user", "dept_head")),
    _named("chg_model", "Change Model", *_strings(1000, "description"), *_flags("active", default="true")),
    _named("prb_model", "Problem Model"),
    _named("std_change_producer_version", "Standard Change Template Version"),
    Table(
        "sysapproval_approver",
        "Approval",
        (
            *_references("task", "sysapproval"),
            *_strings(32, "document_id"),
            *_strings(80, "source_table"),
            *_references("sys_user", "approver"),
            *_references("sys_user_group", "group"),
            Column("state", default="requested"),
            Column("comments", length=4000),
        ),
    ),
    Table(
        "std_change_properties",
        "Standard Change Properties",
        (
            Column("internal_name", default="main_config"),
            Column("readonly_fields", length=4000, default="description,backout_plan,test_plan,implementation_plan"),
            *_strings(4000, "mandatory_fields", "default_values", "restricted_fields", "fields_to_copy"),
            *_flags("two_step"),
        ),
    ),
    _named("sc_cat_item", "Catalog Item"),
    Table(
        "sys_attachment",
        "Attachment",
        (
            *_strings(100, "file_name", "content_type", "table_name", "table_sys_id"),
            *_strings(64, "hash", "state"),
            Column("size_bytes", "integer"),
            Column("size_compressed", "integer"),
            *_flags("compressed", default="true"),
        ),
        display="file_name",
    ),
    Table(
        "sys_attachment_doc",
        "Attachment Document",
        (*_references("sys_attachment", "sys_attachment"), Column("data", "password", length=1 << 30)),
    ),
    Table(
        "sys_group_has_role",
        "Group Role",
        (
            *_references("sys_user_group", "group"),
            *_references("sys_user_role", "role"),
            *_flags("inherits", default="true"),
        ),
    ),
    Table(
        "sys_archive_log",
        "Archive Log",
        (
            *_strings(80, "from_table"),
            *_strings(32, "id"),
            Column("payload", length=1 << 30),
            *_dates("restored"),
        ),
    ),
    Table("sys_metadata", "Application File", _strings(255, "sys_name", "sys_class_name"), display="sys_name"),
    Table(
        "syslog",
        "Log Entry",
        (
            Column("message", length=4000),
            Column("level", "integer", default="0", has_choices=True),
            *_strings(80, "source"),
        ),
        display="message",
    ),
)
