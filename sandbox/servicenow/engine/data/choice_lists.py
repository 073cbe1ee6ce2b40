"""The choice lists of a new instance (ServiceNow §5.3 to §5.6)."""

from collections.abc import Mapping

type ChoiceList = tuple[tuple[str, str], ...]
"""(value, label) in the order shown."""

_URGENCY: ChoiceList = (("1", "1 - High"), ("2", "2 - Medium"), ("3", "3 - Low"))
_PRIORITY: ChoiceList = (
    ("1", "1 - Critical"),
    ("2", "2 - High"),
    ("3", "3 - Moderate"),
    ("4", "4 - Low"),
    ("5", "5 - Planning"),
)
TASK_STATES: ChoiceList = (
    ("-5", "Pending"),
    ("1", "Open"),
    ("2", "Work in Progress"),
    ("3", "Closed Complete"),
    ("4", "Closed Incomplete"),
    ("7", "Closed Skipped"),
)
_INCIDENT_STATES: ChoiceList = (
    ("1", "New"),
    ("2", "In Progress"),
    ("3", "On Hold"),
    ("6", "Resolved"),
    ("7", "Closed"),
    ("8", "Canceled"),
)
_PROBLEM_STATES: ChoiceList = (
    ("101", "New"),
    ("102", "Assess"),
    ("103", "Root Cause Analysis"),
    ("104", "Fix in Progress"),
    ("106", "Resolved"),
    ("107", "Closed"),
)
CLOSE_CODES: Mapping[str, ChoiceList] = {
    "current": tuple(
        (code, code)
        for code in (
            "Duplicate",
            "Known error",
            "No resolution provided",
            "Resolved by caller",
            "Resolved by change",
            "Resolved by problem",
            "Resolved by request",
            "Solution provided",
            "Workaround provided",
            "User error",
        )
    ),
    "legacy": tuple(
        (code, code)
        for code in (
            "Solved (Work Around)",
            "Solved (Permanently)",
            "Solved Remotely (Work Around)",
            "Solved Remotely (Permanently)",
            "Not Solved (Not Reproducible)",
            "Not Solved (Too Costly)",
            "Closed/Resolved by Caller",
        )
    ),
}
"""Close codes of an incident by the value of the property `simulator.incident.close_codes`."""

CHOICE_LISTS: Mapping[tuple[str, str], ChoiceList] = {
    ("task", "state"): TASK_STATES,
    ("task", "priority"): _PRIORITY,
    ("task", "impact"): _URGENCY,
    ("task", "urgency"): _URGENCY,
    ("task", "approval"): (
        ("not requested", "Not Yet Requested"),
        ("requested", "Requested"),
        ("approved", "Approved"),
        ("rejected", "Rejected"),
        ("not_required", "Not Required"),
    ),
    ("task", "escalation"): (("0", "Normal"), ("1", "Moderate"), ("2", "High"), ("3", "Overdue")),
    ("task", "contact_type"): (
        ("email", "Email"),
        ("phone", "Phone"),
        ("self-service", "Self-service"),
        ("virtual_agent", "Virtual Agent"),
        ("walk-in", "Walk-in"),
        ("monitoring", "Monitoring"),
    ),
    ("task", "upon_approval"): (
        ("proceed", "Proceed to Next Task"),
        ("do_nothing", "Wait for a User to Close this task"),
    ),
    ("task", "upon_reject"): (("cancel", "Cancel all future Tasks"), ("goto", "Go to a previous Task")),
    ("incident", "state"): _INCIDENT_STATES,
    ("incident", "incident_state"): _INCIDENT_STATES,
    ("incident", "hold_reason"): (
        ("1", "Awaiting Caller"),
        ("3", "Awaiting Problem"),
        ("4", "Awaiting Vendor"),
        ("5", "Awaiting Change"),
    ),
    ("incident", "category"): (
        ("inquiry", "Inquiry / Help"),
        ("software", "Software"),
        ("hardware", "Hardware"),
        ("network", "Network"),
        ("database", "Database"),
        ("password_reset", "Password Reset"),
    ),
    ("incident", "subcategory"): (
        ("antivirus", "Antivirus"),
        ("email", "Email"),
        ("internal application", "Internal Application"),
        ("os", "Operating System"),
        ("vpn", "VPN"),
        ("wireless", "Wireless"),
    ),
    ("incident", "severity"): _URGENCY,
    ("incident", "notify"): (("1", "Do Not Notify"), ("2", "Send Email"), ("3", "Phone")),
    ("change_request", "state"): (
        ("-5", "New"),
        ("-4", "Assess"),
        ("-3", "Authorize"),
        ("-2", "Scheduled"),
        ("-1", "Implement"),
        ("0", "Review"),
        ("3", "Closed"),
        ("4", "Canceled"),
    ),
    ("change_request", "type"): (("normal", "Normal"), ("standard", "Standard"), ("emergency", "Emergency")),
    ("change_request", "risk"): (("2", "High"), ("3", "Moderate"), ("4", "Low")),
    ("change_request", "category"): tuple(
        (name, name)
        for name in (
            "Hardware",
            "Software",
            "Service",
            "System Software",
            "Applications Software",
            "Network",
            "Telecom",
            "Documentation",
            "Other",
        )
    ),
    ("change_request", "close_code"): (
        ("successful", "Successful"),
        ("successful_issues", "Successful with issues"),
        ("unsuccessful", "Unsuccessful"),
    ),
    ("change_request", "scope"): (("1", "Massive"), ("2", "Large"), ("3", "Medium"), ("4", "Small"), ("5", "Tiny")),
    ("change_request", "phase"): (("requested", "Requested"), ("plan", "Plan"), ("build", "Build"), ("test", "Test")),
    ("change_request", "phase_state"): (
        ("open", "Open"),
        ("work in progress", "Work In Progress"),
        ("complete", "Complete"),
    ),
    ("problem", "state"): _PROBLEM_STATES,
    ("problem", "problem_state"): _PROBLEM_STATES,
    ("problem", "category"): (
        ("software", "Software"),
        ("hardware", "Hardware"),
        ("network", "Network"),
        ("database", "Database"),
    ),
    ("problem", "resolution_code"): (
        ("fix_applied", "Fix Applied"),
        ("risk_accepted", "Risk Accepted"),
        ("duplicate", "Duplicate"),
        ("canceled", "Canceled"),
    ),
    ("sys_user", "identity_type"): (
        ("unclassified", "Unclassified"),
        ("human", "Human"),
        ("machine", "Machine"),
        ("ai_agent", "AI agent"),
    ),
    ("sys_user", "notification"): (("1", "Disable"), ("2", "Enable")),
    ("oauth_entity", "type"): (("client", "OAuth Client"), ("oauth_provider", "OAuth Provider")),
    ("oauth_entity", "token_format"): (("opaque", "Opaque"), ("jwt", "JWT")),
    ("oauth_credential", "type"): (("access_token", "Access Token"), ("refresh_token", "Refresh Token")),
    ("sys_user_has_role", "state"): (("active", "Active"), ("requested", "Requested")),
    ("sys_script", "when"): (("before", "Before"), ("after", "After"), ("async", "Async"), ("display", "Display")),
}
