#!/usr/bin/env bash
# Checks after a publish that the app runs: no policy has changed who reaches it, its storage and its key vault, Azure knows
# its triggers, its functions are listed, and the timer has completed a run since. /api/health says nothing about the timer.
# Needs the Azure CLI without extensions, signed in as the person who deployed.
#
#   verify-deployment.sh --resource-group GROUP --app NAME [--wait-s SECONDS] [--every-s SECONDS]
#       NAME is the output functionAppName. The script asks again every 15 seconds, for at most 15 minutes: after a
#       first deployment, roles and telemetry take a few minutes.
#
# Exits with 0 if all is well; otherwise says what is wrong and what to do, and exits with 1.
set -euo pipefail

resource_group=""
app=""
wait_s=900
every_s=15

usage() {
    sed -n '6,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case "$1" in
        --resource-group) resource_group=$2 ;;
        --app) app=$2 ;;
        --wait-s) wait_s=$2 ;;
        --every-s) every_s=$2 ;;
        *) usage ;;
    esac
    shift 2
done

[[ $resource_group =~ ^[A-Za-z0-9_.()-]{1,90}$ && $app =~ ^[A-Za-z0-9-]{2,60}$ ]] || usage
[[ $wait_s =~ ^(0|[1-9][0-9]{0,4})$ && $every_s =~ ^(0|[1-9][0-9]{0,2})$ ]] || usage

insights="https://api.applicationinsights.io"
began_at=$(date -u +%Y-%m-%dT%H:%M:%SZ)
deadline=$((SECONDS + wait_s))
said=$(mktemp)
trap 'rm -f "$said"' EXIT

ok() {
    echo "ok: $1"
}

failed() {
    printf 'FAILED: %s\nFix: %s\n' "$1" "$2" >&2
    if [ -s "$said" ]; then
        printf 'Azure said: %s\n' "$(tail -n 3 "$said")" >&2
    fi
    exit 1
}

# Waits for the next try; fails if no time is left.
again() {
    [ "$SECONDS" -lt "$deadline" ] && sleep "$every_s"
}

ask() {
    az "$@" 2>"$said"
}

about_app=(--resource-group "$resource_group" --name "$app")
site=$(ask functionapp show "${about_app[@]}" --query id --output tsv) || failed \
    "The function app $app is not in $resource_group, or you may not see it." \
    "Use the deployment's output functionAppName, and select its subscription (az account set)."
state=$(ask functionapp show "${about_app[@]}" --query state --output tsv) || state=unknown
[ "$state" = Running ] || failed \
    "The function app is not running; its state is '$state'." \
    "az functionapp start --resource-group $resource_group --name $app"
ok "the app is running"

# The deployment notes in this tag what it asked for, because a policy can change it and let the deployment succeed.
tag='tags."wanted-public-network-access"'
noted=$(ask resource list --resource-group "$resource_group" --query "[?$tag].[$tag, id]" --output tsv) || failed \
    "The resources in $resource_group cannot be listed." \
    "Get the role Reader on the resource group, or ask somebody who has it to run this."
[ -n "$noted" ] || failed \
    "No resource in $resource_group says which public network access was wanted." \
    "Deploy the infrastructure again: an earlier version, or nothing, is deployed here."
closed=""
opened=""
while IFS=$'\t' read -r -u 3 wanted id; do
    real=$(ask resource show --ids "$id" --query properties.publicNetworkAccess --output tsv) || failed \
        "The public network access of ${id##*/} cannot be read." \
        "Get the role Reader on the resource group, or ask somebody who has it to run this."
    grep -qixF -- "$wanted" <<<"$real" && continue
    if [ "$wanted" = Enabled ]; then
        closed="$closed ${id##*/}"
    else
        opened="$opened ${id##*/}"
    fi
done 3<<<"$noted"
[ -z "$closed" ] || failed \
    "The deployment opened to public networks, and now is not:$closed." \
    "A policy with the effect Modify closes it silently, at each deployment (docs/azure-policy.md; portal: Policy > Compliance). Get an exemption, or deploy in the network mode that your policies allow: privateData or private."
[ -z "$opened" ] || failed \
    "The deployment closed to public networks, and now is open:$opened." \
    "Deploy the infrastructure again. If it opens again, find out who or which policy opens it (Activity log of the resource)."
ok "public network access is as it was deployed"

until ask rest --method POST --url "$site/syncfunctiontriggers?api-version=2025-03-01" --output none; do
    again || failed \
        "The app does not report its triggers to Azure: its host does not start." \
        "If this is the first deployment, wait ten minutes for the roles and run this again. Otherwise, check whether storage lets the app in (docs/operations.md, maintenance-stopped), and publish again."
done
ok "triggers are synchronised"

# The host silently leaves out a timer or queue trigger of which a setting is missing.
lists() {
    grep -qE "(^|/)$1\$" <<<"$functions" # Azure puts the app's name before each.
}

while true; do
    functions=$(ask functionapp function list "${about_app[@]}" --query "[].name" --output tsv) || functions=""
    if lists maintain && lists maintain_connections && lists read_tenants; then
        break
    fi
    again || break
done
if [ -z "$functions" ]; then
    failed "No function is listed: the package is missing, or it does not load." \
        "Publish again and read what the build says. If that is fine, look at the table exceptions in Application Insights."
fi
lists maintain || failed \
    "The timer function maintain is not listed." \
    "Its schedule is missing or malformed: check maintainSchedule and deploy the infrastructure again."
for queue_function in maintain_connections read_tenants; do
    lists "$queue_function" || failed \
        "The function $queue_function is not listed: the timer sends it work that nobody does." \
        "A setting of its queue is missing (MAINTAIN_QUEUE, READ_QUEUE, WorkQueue__queueServiceUri): deploy the infrastructure again."
done
ok "$(wc -l <<<"$functions") functions are listed, the timer and those of the queues among them"

# The deployment and the portal note in this tag which Application Insights belongs to the app.
component_id=$(ask functionapp show "${about_app[@]}" --query 'tags."hidden-link: /app-insights-resource-id"' --output tsv) || component_id=""
[ -n "$component_id" ] && component=$(ask resource show --ids "$component_id" --query properties.AppId --output tsv) || failed \
    "Application Insights of $app is not found, or you may not see it." \
    "Deploy the infrastructure again, or get the role Reader on the resource group."
query="requests | where timestamp >= datetime($began_at) and name =~ 'maintain' | summarize countif(tobool(success)), countif(not(tobool(success)))"
while true; do
    runs=$(ask rest --method POST --url "$insights/v1/apps/$component/query" --resource "$insights" \
        --headers "Content-Type=application/json" --body "{\"query\": \"$query\"}" --query "tables[0].rows" --output tsv) || failed \
        "Application Insights does not answer the query for runs of the timer." \
        "Get the role Reader on the resource group, or ask somebody who has it to run this."
    read -r succeeded unsuccessful <<<"${runs:-0 0}"
    if [ "$succeeded" -gt 0 ]; then
        ok "the timer has completed a run since $began_at"
        echo "The deployment works."
        exit 0
    fi
    again || break
done
if [ "$unsuccessful" -gt 0 ]; then
    failed "The timer runs but fails: $unsuccessful times since $began_at, and it never succeeded." \
        "Find out why: exceptions | where timestamp >= datetime($began_at) | top 1 by timestamp. The usual cause is a setting (settings_invalid) or storage that refuses the app (storage_access_refused): see docs/operations.md, maintenance-stopped."
fi
failed "No run of the timer has arrived in Application Insights since $began_at." \
    "az functionapp restart --resource-group $resource_group --name $app, then run this again. If that does not help, check that the app's identity has the role Monitoring Metrics Publisher and, in private mode, that the monitoring endpoint exists."
