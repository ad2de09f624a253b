use anyhow::Result;
use blackfriday_terminal::failure::Unavailable;
use blackfriday_terminal::output;
use serde_json::Value;

use super::Run;
use crate::deploy::target::{Kind, Target};
use crate::deploy::wait::{Wait, told};

const NAMESPACE: &str = "blackfriday";

impl Run<'_> {
    /// One run of a job that is never run by itself. Its log is the result; a failed one is left to be looked at.
    pub(super) async fn try_once(&self, cron_job: &str, job: &str) -> Result<bool> {
        let from = format!("--from=cronjob/{cron_job}");
        self.shell.kubectl(&["-n", NAMESPACE, "create", "job", job, &from], None).await?;
        let target = Target::new(Kind::Job, NAMESPACE, job);
        let name = format!("job/{job}");
        if let Some(fault) = Wait::new(&self.shell, &target, self.pace).run().await? {
            let told = told(&self.shell, &fault).await;
            if fault.object.starts_with("job ") {
                output::note(format_args!("{cron_job} failed: the count is not proven\n{told}"));
                return Ok(false);
            }
            return Err(Unavailable(format!("{target} does not end\n{told}")).into());
        }
        let done = self.shell.kubectl(&["-n", NAMESPACE, "logs", &name], None).await?;
        String::from_utf8_lossy(&done.stdout).lines().for_each(output::line);
        self.shell.kubectl(&["-n", NAMESPACE, "delete", "job", job], None).await?;
        Ok(true)
    }

    pub(super) async fn addresses(&self) -> Result<()> {
        let overlay = &self.request.overlay;
        let domain = self.request.domain.as_deref().unwrap_or("blackfriday.test");
        if overlay.has("ingress-nginx") || overlay.has("gateway-api") {
            let mut rows = vec![
                ("the gateway", format!("http://{domain}/venta")),
                ("the page", format!("http://dashboard.{domain}/")),
            ];
            if overlay.has("grafana") {
                let password = overlay.folder("generated/secrets/grafana-admin");
                rows.push((
                    "Grafana",
                    format!("http://grafana.{domain}/  user admin, password in {password}"),
                ));
            }
            rows.into_iter().for_each(|(what, address)| output::line(format_args!("{what:12} {address}")));
            if overlay.has("ingress-nginx") {
                self.way_in(domain).await?;
            }
            return Ok(());
        }
        for (what, service, port) in [("the gateway", "gateway", 8080), ("the page", "dashboard", 8090)] {
            let forward = self.shell.line([
                "-n",
                NAMESPACE,
                "port-forward",
                &format!("service/{service}"),
                &port.to_string(),
            ]);
            output::line(format_args!("{what:12} http://127.0.0.1:{port}/  after: {forward}"));
        }
        Ok(())
    }

    /// The address that the names must lead to.
    async fn way_in(&self, domain: &str) -> Result<()> {
        let found = self.shell.json(&["-n", NAMESPACE, "get", "ingress", "-o", "json"], None).await?;
        let address = found["items"].as_array().into_iter().flatten().find_map(|ingress| {
            let first = &ingress["status"]["loadBalancer"]["ingress"][0];
            let text = |value: &Value| value.as_str().map(str::to_owned);
            text(&first["ip"]).or_else(|| text(&first["hostname"]))
        });
        match address {
            Some(address) => output::line(format_args!(
                "{:12} {address}: DNS, or in /etc/hosts: {address} {domain} dashboard.{domain} grafana.{domain}",
                "by way of"
            )),
            None => output::note(
                "the ingress has no address yet; type: kubectl -n blackfriday get ingress; on minikube: minikube ip",
            ),
        }
        Ok(())
    }
}
