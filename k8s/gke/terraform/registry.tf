# The machine for Zot, outside of the cluster. What runs on it is in docs/deploy-gke.md.
resource "google_compute_address" "registry" {
  name       = "registry"
  depends_on = [google_project_service.used]
}

# For the Service of the ingress controller.
resource "google_compute_address" "ingress" {
  name       = "ingress"
  depends_on = [google_project_service.used]
}

resource "google_compute_instance" "registry" {
  name         = "registry"
  zone         = var.zones[0]
  machine_type = "e2-small"
  tags         = ["registry"]

  boot_disk {
    initialize_params {
      image = "debian-cloud/debian-13"
      size  = 30
    }
  }
  network_interface {
    network = google_compute_network.blackfriday.id
    access_config {
      nat_ip = google_compute_address.registry.address
    }
  }
  shielded_instance_config {
    enable_secure_boot = true
  }
}

# 80 is for Let's Encrypt. Nodes come from addresses that change; the password is what guards the registry.
resource "google_compute_firewall" "registry_tls" {
  name          = "registry-tls"
  network       = google_compute_network.blackfriday.id
  source_ranges = ["0.0.0.0/0"]
  target_tags   = ["registry"]

  allow {
    protocol = "tcp"
    ports    = ["80", "443"]
  }
}

# From Google's proxy only: gcloud compute ssh --tunnel-through-iap.
resource "google_compute_firewall" "registry_ssh" {
  name          = "registry-ssh"
  network       = google_compute_network.blackfriday.id
  source_ranges = ["35.235.240.0/20"]
  target_tags   = ["registry"]

  allow {
    protocol = "tcp"
    ports    = ["22"]
  }
}
