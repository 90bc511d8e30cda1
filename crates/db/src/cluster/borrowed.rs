//! A cluster for a command that runs beside the program: the one that is being served from, or one started for the time.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use kernel::Secret;

use crate::Logins;

use super::{
    Cluster, ClusterError, ClusterOptions, DATABASE, Login, binaries,
    logins::{BACKUP, Passwords},
    server::PidFile,
    target::Target,
};

/// How long a program that has just started may take to make its server ready.
const READY: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Never makes a cluster where there is none.
pub struct Borrowed {
    how: How,
    pgdata: PathBuf,
}

enum How {
    /// Nobody serves from it: started here, and stopped by [`Borrowed::give_back`].
    Started(Cluster),
    /// Somebody else's, reached through its socket.
    Running { socket_dir: PathBuf, passwords: Passwords },
}

impl Borrowed {
    /// # Errors
    /// [`ClusterError::NothingThere`]; [`ClusterError::NotReachable`] when it is run by somebody whose passwords this user may
    /// not read; as [`Cluster::start`].
    pub async fn of(options: ClusterOptions) -> Result<Self, ClusterError> {
        let pgdata = options.data_dir.join("pgdata");
        if binaries::data_version(&pgdata)?.is_none() {
            return Err(ClusterError::NothingThere { data_dir: options.data_dir });
        }
        match Cluster::start(options).await {
            Ok(cluster) => Ok(Self { how: How::Started(cluster), pgdata }),
            Err(ClusterError::AlreadyRunning { data_dir, holder }) => {
                let Some(socket_dir) = socket_dir(&pgdata).await else {
                    return Err(ClusterError::NotReachable { data_dir, holder });
                };
                let passwords = Passwords::load(&data_dir.join("pgpass"))?;
                Ok(Self { how: How::Running { socket_dir, passwords }, pgdata })
            }
            Err(error) => Err(error),
        }
    }

    /// True when a program serves from it meanwhile.
    pub fn is_served_from(&self) -> bool {
        matches!(self.how, How::Running { .. })
    }

    /// The program's database as one of its logins.
    pub fn target(&self, login: Login) -> Target {
        self.target_as(login.as_str())
    }

    /// The four logins of the program.
    pub fn logins(&self) -> Logins {
        let options = |login| self.target(login).options().clone();
        Logins {
            owner: options(Login::Owner),
            app: options(Login::App),
            system: options(Login::System),
            ingest: options(Login::Ingest),
        }
    }

    /// The program's database for backups: every row, read only.
    pub fn backup_target(&self) -> Target {
        self.target_as(BACKUP)
    }

    fn target_as(&self, role: &str) -> Target {
        match &self.how {
            How::Started(cluster) => cluster.target_as(role, DATABASE),
            How::Running { socket_dir, passwords } => {
                let password: &Secret = passwords.of(role);
                Target::at_socket(socket_dir, role, password, DATABASE)
            }
        }
    }

    /// PostgreSQL's own data directory.
    pub fn pgdata(&self) -> &Path {
        &self.pgdata
    }

    /// Stops what was started.
    ///
    /// # Errors
    /// As [`Cluster::stop`].
    pub async fn give_back(self) -> Result<(), ClusterError> {
        match self.how {
            How::Started(cluster) => cluster.stop().await,
            How::Running { .. } => Ok(()),
        }
    }
}

async fn socket_dir(pgdata: &Path) -> Option<PathBuf> {
    let found = async {
        loop {
            match PidFile::read(pgdata) {
                Some(file) if file.status == "ready" => return file.socket_dir,
                _ => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    };
    tokio::time::timeout(READY, found).await.ok()
}
