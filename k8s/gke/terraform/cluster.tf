locals {
  is_regional = length(var.zones) > 1
}

resource "google_project_service" "used" {
  for_each           = toset(["container.googleapis.com", "compute.googleapis.com", "dns.googleapis.com"])
  service            = each.key
  disable_on_destroy = false
}

resource "google_compute_network" "blackfriday" {
  name                    = "blackfriday"
  auto_create_subnetworks = true
  depends_on              = [google_project_service.used]
}

# The control plane in one zone costs no fee in an account that has no other such cluster.
resource "google_container_cluster" "blackfriday" {
  name                     = "blackfriday"
  location                 = local.is_regional ? var.region : var.zones[0]
  node_locations           = local.is_regional ? var.zones : null
  network                  = google_compute_network.blackfriday.id
  remove_default_node_pool = true
  initial_node_count       = 1
  deletion_protection      = false
  # Enforces NetworkPolicies.
  datapath_provider = "ADVANCED_DATAPATH"

  release_channel {
    channel = "REGULAR"
  }
  ip_allocation_policy {}
  gateway_api_config {
    channel = "CHANNEL_STANDARD"
  }
  # Not in the middle of a sale: a drained node is a failover.
  maintenance_policy {
    daily_maintenance_window {
      start_time = "09:00"
    }
  }
}

resource "google_container_node_pool" "machines" {
  name       = "machines"
  cluster    = google_container_cluster.blackfriday.id
  node_count = var.nodes_per_zone

  node_config {
    machine_type = "n2-standard-4"
    image_type   = "UBUNTU_CONTAINERD"
    disk_size_gb = 60
    disk_type    = "pd-balanced"
    oauth_scopes = ["https://www.googleapis.com/auth/logging.write", "https://www.googleapis.com/auth/monitoring"]

    # /dev/kvm for the virtual machines of Valkey.
    advanced_machine_features {
      threads_per_core             = 2
      enable_nested_virtualization = true
    }
  }
}
