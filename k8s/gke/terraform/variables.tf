variable "project" {
  description = "The project that pays."
  type        = string
}

variable "region" {
  description = "Where all of it is."
  type        = string
  default     = "us-central1"
}

variable "zones" {
  description = "Zones of the region that have N2 machines: three for the overlay gke, one for the small variant."
  type        = list(string)
  default     = ["us-central1-a", "us-central1-b", "us-central1-c"]

  validation {
    condition     = contains([1, 3], length(var.zones)) && alltrue([for zone in var.zones : startswith(zone, "${var.region}-")])
    error_message = "One or three zones of the region."
  }
}

variable "nodes_per_zone" {
  description = "Nodes of n2-standard-4 in each zone. The small variant wants two in its one zone."
  type        = number
  default     = 1
}

variable "domain" {
  description = "A domain in Cloud DNS. Empty: names are made of the addresses, by sslip.io."
  type        = string
  default     = ""
}

variable "dns_zone" {
  description = "The name of the domain's managed zone."
  type        = string
  default     = ""

  validation {
    condition     = (var.dns_zone == "") == (var.domain == "")
    error_message = "domain and dns_zone belong together."
  }
}
