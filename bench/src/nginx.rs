//! The floor of `live`: nginx as a reverse proxy to the same shop, with kept connections on both sides.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

/// A running nginx; it ends when this is dropped.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    pub(crate) version: String,
    process: Child,
}

impl Nginx {
    /// None when nginx is not installed.
    pub(crate) fn start(folder: &Path, shop: SocketAddr) -> anyhow::Result<Option<Self>> {
        let Some(program) = ["nginx", "/usr/sbin/nginx"].into_iter().find_map(version) else { return Ok(None) };
        let (program, version) = program;
        let folder = folder.join("nginx");
        fs::create_dir_all(&folder)?;
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = folder.join("nginx.conf");
        fs::write(&config, configuration(&folder, address, shop))?;
        let process = Command::new(program)
            .arg("-e")
            .arg(folder.join("error.log"))
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("nginx does not start")?;
        let nginx = Self { address, version, process };
        let patience = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(address).is_err() {
            if Instant::now() > patience {
                let log = fs::read_to_string(folder.join("error.log")).unwrap_or_default();
                bail!("nginx does not listen: {log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(nginx))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its master process takes the workers along when it is asked to end, and leaves them when it is killed.
        let asked =
            Command::new("kill").arg(self.process.id().to_string()).status().is_ok_and(|status| status.success());
        if !asked && self.process.kill().is_err() {
            return;
        }
        let _status = self.process.wait();
    }
}

fn version(program: &'static str) -> Option<(&'static str, String)> {
    let output = Command::new(program).arg("-v").output().ok()?;
    let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Some((program, told.strip_prefix("nginx version: ").unwrap_or(&told).to_owned()))
}

fn configuration(folder: &Path, listen: SocketAddr, shop: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream shop {{
        server {shop};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {listen};
        location / {{
            proxy_pass http://shop;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
        }}
    }}
}}
"
    )
}
