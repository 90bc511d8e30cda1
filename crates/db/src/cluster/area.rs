//! What lies where in the data area, whose it is, and the lock that makes it ours.

use std::{
    env, fs,
    fs::{DirBuilder, File, Permissions},
    io::{self, Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    },
    path::{Path, PathBuf},
    process,
};

use rustix::fs::{FlockOperation, flock};

use super::{
    PORT,
    account::Account,
    error::{At, ClusterError},
};

/// The kernel's limit on the path of a socket, without the final zero: `sun_path` in unix(7).
const LONGEST_SOCKET_PATH: usize = 107;

/// The folder of one cluster:
///
/// ```text
/// lock      held while a supervisor lives; its process id is inside
/// pgpass    the passwords, 0600, ours
/// pgdata/   the data directory, 0700, the server's
/// run/      the socket, 0700, the server's; elsewhere where this path is too long for a socket
/// ```
#[derive(Clone, Debug)]
pub(super) struct Area {
    pub(super) root: PathBuf,
    pub(super) pgdata: PathBuf,
    pub(super) passwords: PathBuf,
}

impl Area {
    /// Makes the folder where there is none. Under root the server's user must pass through it, and only that.
    pub(super) fn open(root: &Path) -> Result<Self, ClusterError> {
        let under_root = rustix::process::geteuid().is_root();
        let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).at(parent)?;
        create_dir(root, if under_root { 0o711 } else { 0o700 })?;
        let root = root.canonicalize().at(root)?;
        Ok(Self { pgdata: root.join("pgdata"), passwords: root.join("pgpass"), root })
    }

    /// Where initdb works. It becomes `pgdata` when it is whole, so that an interrupted one leaves nothing behind that
    /// looks like data.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.root.join("pgdata.unfinished")
    }

    /// The uid that the data belongs to; `None` where there is none.
    pub(super) fn owner(&self) -> Result<Option<u32>, ClusterError> {
        match fs::metadata(&self.pgdata) {
            Ok(data) => Ok(Some(data.uid())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at(&self.pgdata),
        }
    }

    /// A directory for the socket that the server's user and we can enter and nobody else.
    pub(super) fn socket_dir(&self, account: &Account) -> Result<PathBuf, ClusterError> {
        let ours = self.root.join("run");
        let dir = if fits_a_socket(&ours) { ours } else { self.short_dir(account)? };
        create_private_dir(&dir, account)?;
        // We hold the lock and have seen that no server is left: whatever lies here is a dead one's, and its lock file
        // would stop the next if another process had got its number meanwhile.
        for name in [format!(".s.PGSQL.{PORT}"), format!(".s.PGSQL.{PORT}.lock")] {
            remove_file(&dir.join(name))?;
        }
        Ok(dir)
    }

    /// Named after the data's place on the disk: the same at every start, and another one for other data.
    fn short_dir(&self, account: &Account) -> Result<PathBuf, ClusterError> {
        let data = fs::metadata(&self.root).at(&self.root)?;
        let name = format!("entrepot-{:x}-{:x}", data.dev(), data.ino());
        let runtime = if account.switched { Some("/run".into()) } else { env::var_os("XDG_RUNTIME_DIR") };
        let runtime = runtime.map(PathBuf::from).filter(|dir| is_writable(dir) && fits_a_socket(&dir.join(&name)));
        let temporary = env::temp_dir();
        let temporary = if fits_a_socket(&temporary.join(&name)) { temporary } else { "/tmp".into() };
        Ok(runtime.unwrap_or(temporary).join(name))
    }
}

fn is_writable(dir: &Path) -> bool {
    rustix::fs::access(dir, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
}

/// PostgreSQL takes a list here and has rules for quotes in it: a path with anything unusual goes elsewhere too.
fn fits_a_socket(dir: &Path) -> bool {
    let path = dir.join(format!(".s.PGSQL.{PORT}"));
    let usual = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+@%=~".contains(byte);
    path.as_os_str().len() <= LONGEST_SOCKET_PATH && path.as_os_str().as_bytes().iter().all(usual)
}

/// An exclusive lock on the area, for as long as this lives, and gone with our process however it ends.
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing it would not be enough: a process that another thread is just starting has it open as well, until it executes
        // its program. Where this fails, the lock goes a moment later.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

impl Lock {
    pub(super) fn take(area: &Area) -> Result<Self, ClusterError> {
        let path = area.root.join("lock");
        let mut options = File::options();
        // Who can open it can hold it.
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).at(&path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).at(&path)?;
                let holder = if holder.trim().is_empty() { "unknown".into() } else { holder.trim().to_owned() };
                return Err(ClusterError::AlreadyRunning { data_dir: area.root.clone(), holder });
            }
            Err(error) => return Err(io::Error::from(error)).at(&path),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", process::id())).at(&path)?;
        Ok(Self(file))
    }
}

fn create_dir(dir: &Path, mode: u32) -> Result<(), ClusterError> {
    match DirBuilder::new().mode(mode).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.at(dir),
    }
}

/// A directory of the server's user alone. One that is there already must be that user's, or ours to give: in a
/// directory where everybody writes it may be a stranger's.
pub(super) fn create_private_dir(dir: &Path, account: &Account) -> Result<(), ClusterError> {
    create_dir(dir, 0o700)?;
    let data = fs::symlink_metadata(dir).at(dir)?;
    let ours = rustix::process::geteuid().as_raw();
    if !data.is_dir() || (data.uid() != account.uid && data.uid() != ours) {
        let source = io::Error::new(io::ErrorKind::PermissionDenied, "exists and belongs to somebody else");
        return Err(source).at(dir);
    }
    if data.uid() != account.uid {
        chown(dir, Some(account.uid), Some(account.gid)).at(dir)?;
    }
    fs::set_permissions(dir, Permissions::from_mode(0o700)).at(dir)
}

pub(super) fn remove_file(file: &Path) -> Result<(), ClusterError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at(file),
        _ => Ok(()),
    }
}

/// Makes a rename or a new file in this one's directory survive a power failure.
pub(super) fn sync_parent(path: &Path) -> Result<(), ClusterError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    File::open(parent).and_then(|dir| dir.sync_all()).at(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_path_ends_at_107_bytes() {
        let room = LONGEST_SOCKET_PATH - "/.s.PGSQL.5432".len();
        assert!(fits_a_socket(Path::new(&format!("/{}", "x".repeat(room - 1)))));
        assert!(!fits_a_socket(Path::new(&format!("/{}", "x".repeat(room)))));
        assert!(!fits_a_socket(Path::new("/a, b")));
    }

    #[test]
    fn a_lock_that_is_given_back_is_free_though_somebody_has_the_file_open() {
        let dir = tempfile::tempdir().unwrap();
        let area = Area::open(&dir.path().join("area")).unwrap();
        let lock = Lock::take(&area).unwrap();
        // As a process has it that another thread is just starting.
        let _inherited = lock.0.try_clone().unwrap();
        assert!(matches!(Lock::take(&area), Err(ClusterError::AlreadyRunning { .. })));
        drop(lock);
        Lock::take(&area).unwrap();
    }

    #[test]
    fn a_strangers_directory_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let account = |uid| Account { name: "somebody".into(), uid, gid: 65_534, switched: true };
        let link = dir.path().join("link");
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
        let ours = rustix::process::geteuid().as_raw();
        assert!(create_private_dir(&link, &account(ours)).is_err());
        if ours == 0 {
            let strangers = dir.path().join("strangers");
            fs::create_dir(&strangers).unwrap();
            chown(&strangers, Some(1), Some(1)).unwrap();
            assert!(create_private_dir(&strangers, &account(65_534)).is_err());
        }
        let fresh = dir.path().join("fresh");
        create_private_dir(&fresh, &account(ours)).unwrap();
        assert_eq!(fs::metadata(&fresh).unwrap().mode() & 0o777, 0o700);
    }
}
