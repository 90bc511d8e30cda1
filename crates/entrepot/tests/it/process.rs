//! The program as a process of its own.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// A master key as `openssl rand -hex 32` makes one.
pub(crate) fn new_key() -> String {
    kernel::random::bytes::<32>().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A folder that PostgreSQL's user can get to, also under root.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o711)).tempdir().unwrap()
}

pub(crate) fn entrepot(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_entrepot"));
    command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(environment.iter().copied()).stdin(Stdio::null());
    command
}

pub(crate) fn refused(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut log = tempfile::NamedTempFile::new().unwrap();
    let mut child = entrepot(arguments, environment).stderr(log.reopen().unwrap()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(120);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("it goes on with {arguments:?} {environment:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let mut said = String::new();
    std::io::Read::read_to_string(&mut log, &mut said).unwrap();
    assert!(!status.success(), "it started with {environment:?}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// A served program, killed when the test is done with it.
pub(crate) struct Serving {
    pub(crate) child: std::process::Child,
    pub(crate) address: String,
    /// Its log.
    log: tempfile::NamedTempFile,
}

impl Serving {
    pub(crate) fn start(data_dir: &Path, key: &str) -> Self {
        Self::with(data_dir, key, &[])
    }

    /// With further variables of the environment.
    pub(crate) fn with(data_dir: &Path, key: &str, environment: &[(&str, &str)]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let log = tempfile::NamedTempFile::new().unwrap();
        let child = entrepot(
            &["serve", "--listen", &address, "--data-dir", data_dir.to_str().unwrap()],
            &[("ENTREPOT_MASTER_KEY", key)],
        )
        .envs(environment.iter().copied())
        .stderr(log.reopen().unwrap())
        .spawn()
        .unwrap();
        let mut serving = Self { child, address, log };
        let until = Instant::now() + Duration::from_secs(90);
        while !serving.is_ready() {
            assert!(serving.child.try_wait().unwrap().is_none(), "it ended");
            assert!(Instant::now() < until, "it is not ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        serving
    }

    pub(crate) fn is_ready(&self) -> bool {
        use std::io::{Read, Write};
        let Ok(mut stream) = std::net::TcpStream::connect(&self.address) else { return false };
        let request = format!("GET /readyz HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        let mut answer = String::new();
        stream.write_all(request.as_bytes()).is_ok()
            && stream.read_to_string(&mut answer).is_ok()
            && answer.starts_with("HTTP/1.1 200")
    }

    /// As a service manager stops it.
    pub(crate) fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success(), "it did not stop cleanly");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _gone = self.child.kill();
    }
}

/// What came back of a request.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: serde_json::Value,
    pub(crate) took: Duration,
}

impl Serving {
    pub(crate) fn call(&self, method: &str, path: &str, token: &str, body: &serde_json::Value) -> Answer {
        call(&self.address, method, path, token, body)
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> Answer {
        self.call("GET", path, token, &serde_json::Value::Null)
    }

    /// What it has logged.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }

    /// Somebody new, with an organization; the session's token.
    pub(crate) fn sign_up(&self, name: &str) -> String {
        let form = serde_json::json!({
            "name": name, "email": format!("{name}@example.com"), "password": PASSWORD, "organization_name": name,
        });
        let signed_up = self.call("POST", "/api/sign-up", "", &form);
        assert_eq!(signed_up.status, 201, "{}", signed_up.body);
        signed_up.body["session_token"].as_str().unwrap().to_owned()
    }
}

pub(crate) const PASSWORD: &str = "long enough to be let in";

/// One request on a connection of its own.
pub(crate) fn call(address: &str, method: &str, path: &str, token: &str, body: &serde_json::Value) -> Answer {
    use std::io::{Read, Write};
    let began = Instant::now();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let authorization = if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{authorization}content-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(70))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        body: serde_json::from_str(body).unwrap_or(serde_json::Value::Null),
        took: began.elapsed(),
    }
}

/// Runs a command to its end, which must be good, and returns what it said.
pub(crate) fn done(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = entrepot(arguments, environment).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{arguments:?}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}
