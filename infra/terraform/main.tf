# Deploys a release's compiled template, azuredeploy.json, which belongs beside this file. docs/releases.md explains it.

terraform {
  required_version = ">= 1.11"

  required_providers {
    azapi = {
      source  = "Azure/azapi"
      version = "~> 2.10"
    }
  }
}

provider "azapi" {}

variable "resource_group_id" {
  description = "Id of an existing resource group: /subscriptions/.../resourceGroups/..."
  type        = string
}

variable "package_url" {
  description = "HTTPS address of the same release's released-package.zip; with a signature if the file is not public."
  type        = string
  ephemeral   = true
}

variable "package_sha256" {
  description = "SHA-256 digest of that package, as its checksum file says. Another digest installs the package again."
  type        = string
}

variable "parameters" {
  description = "Any other parameter of the template."
  type        = any
  default     = {}
}

locals {
  parameters = merge({
    environmentName          = "tickets"
    networkMode              = "fixedEgress"
    infrastructureEncryption = true
  }, var.parameters)
}

resource "azapi_resource" "connector" {
  type      = "Microsoft.Resources/deployments@2024-03-01"
  name      = "tickets"
  parent_id = var.resource_group_id

  body = {
    properties = {
      mode       = "Incremental"
      template   = jsondecode(file("${path.module}/azuredeploy.json"))
      parameters = { for name, value in local.parameters : name => { value = value } }
    }
  }

  # Neither the plan nor the state keeps the address, which may have a signature in it.
  sensitive_body = {
    properties = {
      parameters = {
        packageUrl = { value = var.package_url }
      }
    }
  }

  # Terraform cannot see whether an address that it does not keep has changed: the digest says so.
  sensitive_body_version = {
    "properties.parameters.packageUrl.value" = var.package_sha256
  }

  response_export_values = ["properties.outputs"]

  # A key vault and private endpoints take their time.
  timeouts {
    create = "1h"
    update = "1h"
  }
}

output "base_url" {
  description = "Where people open the app."
  value       = azapi_resource.connector.output.properties.outputs.baseUrl.value
}

output "function_app_name" {
  description = "For scripts/verify-deployment.sh."
  value       = azapi_resource.connector.output.properties.outputs.functionAppName.value
}

output "servicenow_redirect_url" {
  description = "Redirect URL of ServiceNow's OAuth client."
  value       = azapi_resource.connector.output.properties.outputs.serviceNowRedirectUrl.value
}

output "egress_address" {
  description = "The address from which the app calls ServiceNow; empty if it is not fixed."
  value       = azapi_resource.connector.output.properties.outputs.egressAddress.value
}
