locals {
  registry_host = var.domain == "" ? "${replace(google_compute_address.registry.address, ".", "-")}.sslip.io" : "registry.${var.domain}"
  shop_host     = var.domain == "" ? "${replace(google_compute_address.ingress.address, ".", "-")}.sslip.io" : var.domain
  records = var.domain == "" ? {} : {
    "registry.${var.domain}"  = google_compute_address.registry.address
    (var.domain)              = google_compute_address.ingress.address
    "dashboard.${var.domain}" = google_compute_address.ingress.address
    "grafana.${var.domain}"   = google_compute_address.ingress.address
    "relay.${var.domain}"     = google_compute_address.ingress.address
  }
}

resource "google_dns_record_set" "names" {
  for_each     = local.records
  managed_zone = var.dns_zone
  name         = "${each.key}."
  type         = "A"
  ttl          = 300
  rrdatas      = [each.value]
}
