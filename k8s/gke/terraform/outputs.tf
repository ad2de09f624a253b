output "registry" {
  description = "export REGISTRY=…"
  value       = local.registry_host
}

output "domain" {
  description = "export DOMAIN=…"
  value       = local.shop_host
}

output "ingress_address" {
  description = "For the Service of the ingress controller: spec.loadBalancerIP."
  value       = google_compute_address.ingress.address
}

output "credentials" {
  description = "What to type for kubectl."
  value       = "gcloud container clusters get-credentials ${google_container_cluster.blackfriday.name} --location=${google_container_cluster.blackfriday.location} --project=${var.project}"
}
