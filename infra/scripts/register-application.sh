#!/usr/bin/env bash
# Makes the same app registration as infra/modules/sign-in.bicep, for people who may not use Microsoft Graph from a
# deployment. Needs the Azure CLI, signed in as somebody who may register applications (the Application Developer role).
#
#   register-application.sh --unique-name NAME
#       Run before the deployment. Prints the client id for the parameter existingClientId.
#   register-application.sh --unique-name NAME --host-name HOST [--host-name HOST ...] --identity-principal-id ID
#       Run after the deployment, with its outputs hostName and identityPrincipalId, so that people can sign in.
#   ... --administrator OBJECT_ID [--administrator OBJECT_ID ...]
#       Gives these people every app role.
#
# It is safe to run again: it creates what is missing and sets what exists to the same values.
set -euo pipefail

definitions=$(cd "$(dirname "$0")/../sign-in" && pwd)
unique_name=""
identity_principal_id=""
host_names=()
administrators=()

usage() {
    sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case "$1" in
        --unique-name) unique_name=$2 ;;
        --host-name) host_names+=("$2") ;;
        --identity-principal-id) identity_principal_id=$2 ;;
        --administrator) administrators+=("$2") ;;
        *) usage ;;
    esac
    shift 2
done

guid='^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
[[ $unique_name =~ ^[A-Za-z0-9-]{1,120}$ ]] || usage
for id in ${identity_principal_id:+"$identity_principal_id"} "${administrators[@]}"; do
    [[ $id =~ $guid ]] || usage
done
for host_name in "${host_names[@]}"; do
    [[ $host_name =~ ^[A-Za-z0-9.-]+$ ]] || usage
done

graph=$(az cloud show --query endpoints.microsoftGraphResourceId --output tsv)
graph=${graph%/}/v1.0
application="$graph/applications(uniqueName='$unique_name')"

upsert() {
    az rest --method PATCH --url "$1" --headers "Content-Type=application/json" "Prefer=create-if-missing" --body "$2" --output none
}

upsert "$application" "@$definitions/application.json"
client_id=$(az rest --method GET --url "$application?\$select=appId" --query appId --output tsv)
upsert "$graph/servicePrincipals(appId='$client_id')" "@$definitions/service-principal.json"

if [ ${#host_names[@]} -gt 0 ]; then
    addresses=$(printf ',"https://%s/.auth/login/aad/callback"' "${host_names[@]}")
    upsert "$application" "{\"displayName\":\"ServiceNow tickets for Microsoft 365\",\"web\":{\"redirectUris\":[${addresses#,}],\"implicitGrantSettings\":{\"enableAccessTokenIssuance\":false,\"enableIdTokenIssuance\":true}}}"
fi

if [ -n "$identity_principal_id" ]; then
    authority=$(az cloud show --query endpoints.activeDirectory --output tsv)
    tenant=$(az account show --query tenantId --output tsv)
    upsert "$application/federatedIdentityCredentials(name='managed-identity')" \
        "{\"audiences\":[\"api://AzureADTokenExchange\"],\"issuer\":\"${authority%/}/$tenant/v2.0\",\"subject\":\"$identity_principal_id\",\"description\":\"The function app proves itself with its managed identity instead of a client secret.\"}"
fi

if [ ${#administrators[@]} -gt 0 ]; then
    principal="$graph/servicePrincipals(appId='$client_id')"
    principal_id=$(az rest --method GET --url "$principal?\$select=id" --query id --output tsv)
    role_ids=$(az rest --method GET --url "$application?\$select=appRoles" --query "appRoles[].id" --output tsv)
    for administrator in "${administrators[@]}"; do
        given=$(az rest --method GET --url "$principal/appRoleAssignedTo?\$top=999" --query "value[?principalId=='$administrator'].appRoleId" --output tsv)
        for role_id in $role_ids; do
            if ! grep -qxF "$role_id" <<<"$given"; then
                az rest --method POST --url "$principal/appRoleAssignedTo" --headers "Content-Type=application/json" --output none \
                    --body "{\"principalId\":\"$administrator\",\"resourceId\":\"$principal_id\",\"appRoleId\":\"$role_id\"}"
            fi
        done
    done
fi

echo "$client_id"
