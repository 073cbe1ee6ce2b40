"""The one-line statuses of `implementationStatus`, full and as older snapshots keep them (Microsoft Graph §1.4)."""

from sandbox.graph.engine.control import Control, Measure


def status_text(control: Control, *, count: int, total: int, is_on: bool) -> str:
    """Return the status of a control. It may contradict the points: the password policy's always does."""
    return _text(control, str(count), str(total), str(is_on).lower())


def status_template(control: Control) -> str:
    """Return the status without its values."""
    return _text(control, "", "", "")


def _text(control: Control, count: str, total: str, is_on: str) -> str:
    if control.id == "PWAgePolicyNew":
        return "Your current policy is set to let passwords expire."
    if control.service in ("MS Teams", "MDATP"):
        return ""
    match control.measure:
        case Measure.GLOBAL_ADMINS:
            return f"You currently have {count} global admins."
        case Measure.ADMINS:
            return f"You have {count} out of {total} users with administrative roles that are protected."
        case Measure.USERS:
            return f"You have {count} out of {total} users that are protected by this policy."
        case Measure.DOMAINS:
            return f"<ul><li>Domains with a record: {count}</li><li>All domains: {total}</li></ul>"
        case Measure.DEVICES:
            return f"<p>{count} of {total}&nbsp;devices comply.</p>"
        case Measure.SETTING if control.service == "MDO":
            return f"Policy in place: {is_on}."
        case Measure.SETTING if control.service in ("SPO", "EXO"):
            return "The setting is compliant." if is_on == "true" else "The setting is not compliant."
        case _:
            return f"Feature in place: {is_on}."
