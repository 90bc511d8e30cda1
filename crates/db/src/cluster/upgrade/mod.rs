//! A cluster's data, converted for a later major version of PostgreSQL (`docs/adr/0042-a-converted-cluster-is-swapped-in.md`).
//!
//! ```text
//! postgres/          the cluster, untouched until the last step
//! postgres.upgrade/  what becomes of it: made anew at each try, a whole cluster when `pg_upgrade` is done with it
//! postgres.15/       the cluster as it was, kept after the two have changed places
//! ```
//!
//! [`Upgrade::prepare`] looks and refuses, [`Prepared::convert`] makes the new one beside the old, [`Converted`] is started and looked
//! at by the caller, and [`Converted::swap`] exchanges their names in one step of the file system. Whoever is killed in between has lost
//! nothing: [`refuse_unfinished`] keeps programs from serving until this was run again or given up.

mod convert;
mod error;
mod room;
mod settle;

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

pub use self::{error::UpgradeError, settle::Profile};
use super::{
    BIN_DIR_VARIABLE, ClusterOptions, RunAs, Version,
    area::{Area, Lock, remove_file, sync_parent},
    binaries::{self, Binaries, Search},
    error::{At, ClusterError},
    orphan,
};

/// What and with which programs.
#[derive(Clone, Debug)]
pub struct UpgradeOptions {
    /// The folder of the cluster, as in [`ClusterOptions::data_dir`].
    pub data_dir: PathBuf,
    /// The programs of the version that made the data; found by themselves where they are in the usual places.
    pub from_bin: Option<PathBuf>,
    /// Those of the version that it is to become: the latest that is found.
    pub to_bin: Option<PathBuf>,
    /// Share files between old and new instead of copying them: quick, and the old one is of no use once the new one has run.
    pub link: bool,
    pub run_as: RunAs,
}

/// How long programs whose parent was killed may go on.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// What is left of an upgrade before this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    /// The cluster is as it was; beside it lies what may be thrown away.
    Unfinished,
    /// Files are shared, and the new one has run: there is only the way forward.
    Started,
    /// They have changed places: what lies beside the cluster is the old one.
    Swapped,
}

/// An upgrade that may begin, or go on.
pub struct Upgrade {
    options: UpgradeOptions,
    left: Left,
}

impl Upgrade {
    /// Looks at what there is. Nothing is changed.
    ///
    /// # Errors
    /// [`ClusterError::NothingThere`].
    pub fn of(mut options: UpgradeOptions) -> Result<Self, UpgradeError> {
        // What lies beside a link is not beside the cluster.
        options.data_dir = options.data_dir.canonicalize().unwrap_or(options.data_dir);
        let left = left(&options.data_dir)?;
        if binaries::data_version(&options.data_dir.join("pgdata"))?.is_none() {
            return Err(ClusterError::NothingThere { data_dir: options.data_dir }.into());
        }
        Ok(Self { options, left })
    }

    /// Puts the old cluster aside where the places were changed and nothing more was done. None when there is something to convert.
    ///
    /// # Errors
    /// When a program runs the cluster.
    pub fn finish(&self) -> Result<Option<Aside>, UpgradeError> {
        if self.left != Left::Swapped {
            return Ok(None);
        }
        let area = Area::open(&self.options.data_dir)?;
        let _lock = Lock::take(&area)?;
        set_aside(&area.root).map(Some)
    }

    /// Throws away what an interrupted upgrade has left, and makes the cluster what it was.
    ///
    /// # Errors
    /// [`UpgradeError::NothingToAbort`]; [`UpgradeError::OnlyForward`].
    pub fn abort(&self) -> Result<(), UpgradeError> {
        let area = Area::open(&self.options.data_dir)?;
        let _lock = Lock::take(&area)?;
        match self.left {
            Left::Nothing => Err(UpgradeError::NothingToAbort(area.root)),
            Left::Swapped | Left::Started => Err(UpgradeError::OnlyForward),
            Left::Unfinished => clear(&area),
        }
    }

    /// Finds the programs, and clears away what an interrupted upgrade has left.
    ///
    /// # Errors
    /// When there is nothing to convert to, or with nothing to read it.
    pub fn prepare(self) -> Result<Prepared, UpgradeError> {
        let Self { options, left } = self;
        let area = Area::open(&options.data_dir)?;
        let lock = Lock::take(&area)?;
        let major = binaries::data_version(&area.pgdata)?.unwrap_or_default();
        // The directory that `serve` is told of may be that of the one or the other.
        let also = std::env::var_os(BIN_DIR_VARIABLE).map(PathBuf::from);
        let from = Search::on_this_machine(options.from_bin.clone()).of(Some(major), also.as_deref())?;
        let from = from.ok_or_else(|| UpgradeError::NoOld { major, named: options.from_bin.clone() })?;
        let to = Search::on_this_machine(options.to_bin.clone()).of(None, also.as_deref())?;
        let to = to.filter(|to| to.version.major > major).ok_or(UpgradeError::NoLater { major })?;
        convert::check_programs(&from, &to)?;
        can_exchange(&area)?;
        match left {
            Left::Started => {}
            Left::Nothing | Left::Unfinished => clear(&area)?,
            Left::Swapped => return Err(UpgradeError::OnlyForward),
        }
        drop(lock);
        Ok(Prepared { options, from, to, area, is_converted: left == Left::Started })
    }
}

/// An upgrade that knows its programs.
pub struct Prepared {
    options: UpgradeOptions,
    from: Binaries,
    to: Binaries,
    area: Area,
    is_converted: bool,
}

impl Prepared {
    pub fn from(&self) -> &Version {
        &self.from.version
    }

    pub fn to(&self) -> &Version {
        &self.to.version
    }

    /// The directory of the later programs.
    pub fn to_bin(&self) -> &Path {
        &self.to.dir
    }

    /// True when an earlier try has converted it and let it run, so that the old one cannot be looked at any more.
    pub fn is_converted(&self) -> bool {
        self.is_converted
    }

    /// How to start the cluster as it is, to look at it. A server that was not stopped properly recovers by that.
    pub fn old(&self) -> ClusterOptions {
        self.cluster(&self.area.root, &self.from)
    }

    fn cluster(&self, root: &Path, binaries: &Binaries) -> ClusterOptions {
        let mut options = ClusterOptions::new(root);
        options.bin_dir = Some(binaries.dir.clone());
        options.run_as = self.options.run_as.clone();
        options
    }

    /// Asks `pg_upgrade` whether it can be done. The cluster must not run; it stays as it is.
    ///
    /// # Errors
    /// [`UpgradeError::Refused`] with what stands in the way.
    pub fn check(&self, profile: &Profile) -> Result<(), UpgradeError> {
        let lock = Lock::take(&self.area)?;
        let checked = convert::Conversion::begin(self, profile, &lock).and_then(|conversion| conversion.check());
        clear(&self.area)?;
        checked
    }

    /// Makes the new cluster beside the old one.
    ///
    /// # Errors
    /// [`UpgradeError::Refused`], [`UpgradeError::Failed`]: the cluster is as it was.
    pub fn convert(self, profile: &Profile) -> Result<Converted, UpgradeError> {
        let lock = Lock::take(&self.area)?;
        // It looks at both clusters itself before it changes anything.
        convert::Conversion::begin(&self, profile, &lock)?.run()?;
        Ok(Converted { prepared: self, _lock: lock })
    }

    /// Goes on with the new cluster of an earlier try, which has run already ([`Prepared::is_converted`]).
    ///
    /// # Errors
    /// When a program runs the cluster.
    pub fn resume(self) -> Result<Converted, UpgradeError> {
        let lock = Lock::take(&self.area)?;
        Ok(Converted { prepared: self, _lock: lock })
    }
}

/// Old and new beside each other. Nobody else can start the old one while this lives.
pub struct Converted {
    prepared: Prepared,
    _lock: Lock,
}

impl Converted {
    /// How to start the new one, to look at it.
    ///
    /// # Errors
    /// When the mark cannot be written that says that it has run.
    pub fn new_cluster(&self) -> Result<ClusterOptions, UpgradeError> {
        let staging = staging(&self.prepared.area.root);
        if self.prepared.options.link {
            let mark = staging.join(STARTED);
            fs::File::create(&mark).and_then(|file| file.sync_all()).at(&mark)?;
            sync_parent(&mark)?;
        }
        Ok(self.prepared.cluster(&staging, &self.prepared.to))
    }

    /// Exchanges the two in one step, and puts the old one aside.
    ///
    /// # Errors
    /// When the file system refuses; the cluster is then as it was.
    pub fn swap(self) -> Result<Aside, UpgradeError> {
        let root = &self.prepared.area.root;
        let staging = staging(root);
        exchange(root, &staging)?;
        sync_parent(root)?;
        set_aside(root)
    }
}

/// The old cluster, when another has taken its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    pub path: PathBuf,
    /// It shares files with the new one, and must not be started any more.
    pub is_linked: bool,
}

/// In the new cluster, where it shares files with the old one: it has run.
const STARTED: &str = "started";

fn beside(root: &Path, suffix: &str) -> PathBuf {
    let mut name = root.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    root.with_file_name(name)
}

fn staging(root: &Path) -> PathBuf {
    beside(root, ".upgrade")
}

/// Keeps programs from a cluster that is half way between two versions.
///
/// # Errors
/// [`ClusterError::UnfinishedUpgrade`].
pub(super) fn refuse_unfinished(data_dir: &Path) -> Result<(), ClusterError> {
    let staging = staging(data_dir);
    if staging.exists() { Err(ClusterError::UnfinishedUpgrade { data_dir: data_dir.into(), staging }) } else { Ok(()) }
}

fn left(root: &Path) -> Result<Left, ClusterError> {
    let staging = staging(root);
    if !staging.exists() {
        return Ok(Left::Nothing);
    }
    let version = |root: &Path| binaries::data_version(&root.join("pgdata"));
    Ok(match (version(root)?, version(&staging)?) {
        (Some(ours), Some(theirs)) if theirs < ours => Left::Swapped,
        _ if staging.join(STARTED).exists() => Left::Started,
        _ => Left::Unfinished,
    })
}

/// What is beside the cluster goes, and the cluster can be started again.
fn clear(area: &Area) -> Result<(), UpgradeError> {
    let staging = staging(&area.root);
    // `pg_upgrade` may have left a server on either.
    orphan::remove(&area.pgdata)?;
    let began = Instant::now();
    while staging.exists() {
        let cleared = orphan::remove(&staging.join("pgdata")).and_then(|()| fs::remove_dir_all(&staging).at(&staging));
        match cleared {
            Ok(()) => sync_parent(&staging)?,
            // What `initdb` and `pg_upgrade` have started ends by itself soon after them, and writes until then.
            Err(error) if began.elapsed() < LAST_WORDS => {
                tracing::debug!(%error, "what an interrupted upgrade has left is still used");
                thread::sleep(Duration::from_millis(200));
            }
            Err(error) => return Err(error.into()),
        }
    }
    // So that nobody starts the old one beside a new one that shares its files, `pg_upgrade` takes this name away.
    let (control, old) = (area.pgdata.join("global/pg_control"), area.pgdata.join("global/pg_control.old"));
    if !control.exists() && old.exists() {
        fs::rename(&old, &control).at(&old)?;
        sync_parent(&control)?;
    }
    Ok(())
}

fn exchange(one: &Path, other: &Path) -> Result<(), ClusterError> {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(io::Error::from).at(one)
}

/// Not every file system can (`renameat2`), and that is better known before hours of copying.
fn can_exchange(area: &Area) -> Result<(), UpgradeError> {
    let [one, other] = ["exchange.one", "exchange.other"].map(|name| area.root.join(name));
    for dir in [&one, &other] {
        match fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(ClusterError::from_io(dir, error).into());
            }
            _ => {}
        }
    }
    let exchanged = exchange(&one, &other);
    for dir in [&one, &other] {
        fs::remove_dir(dir).at(dir)?;
    }
    exchanged.map_err(|_| UpgradeError::CannotExchange(area.root.clone()))
}

/// The old cluster, from beside the new one to where it is kept.
fn set_aside(root: &Path) -> Result<Aside, UpgradeError> {
    let staging = staging(root);
    let major = binaries::data_version(&staging.join("pgdata"))?.unwrap_or_default();
    let names = (1_u32..).map(|number| match number {
        1 => beside(root, &format!(".{major}")),
        _ => beside(root, &format!(".{major}-{number}")),
    });
    let aside = names.into_iter().find(|name| !name.exists()).unwrap_or_else(|| beside(root, ".old"));
    fs::rename(&staging, &aside).at(&staging)?;
    sync_parent(&aside)?;
    // What was the new one's while it was beside the old.
    let mark = root.join(STARTED);
    let is_linked = mark.exists();
    remove_file(&mark)?;
    Ok(Aside { path: aside, is_linked })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folders that look like clusters of these versions, as far as names go.
    fn lay_out(main: &str, beside: Option<&str>) -> (tempfile::TempDir, UpgradeOptions) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("postgres");
        for (root, version) in [(root.clone(), Some(main)), (staging(&root), beside)] {
            if let Some(version) = version {
                fs::create_dir_all(root.join("pgdata/global")).unwrap();
                fs::write(root.join("pgdata/PG_VERSION"), format!("{version}\n")).unwrap();
                fs::write(root.join("pgdata/global/pg_control"), version).unwrap();
            }
        }
        let options = UpgradeOptions { data_dir: root, from_bin: None, to_bin: None, link: false, run_as: RunAs::Auto };
        (folder, options)
    }

    fn version(root: &Path) -> Option<u32> {
        binaries::data_version(&root.join("pgdata")).unwrap()
    }

    #[test]
    fn killed_before_the_exchange_the_old_cluster_is_as_it_was() {
        let (folder, options) = lay_out("15", Some("18"));
        let root = options.data_dir.clone();
        assert!(matches!(refuse_unfinished(&root), Err(ClusterError::UnfinishedUpgrade { .. })));
        let upgrade = Upgrade::of(options).unwrap();
        assert_eq!(upgrade.finish().unwrap(), None);
        upgrade.abort().unwrap();
        assert_eq!((version(&root), staging(&root).exists()), (Some(15), false));
        refuse_unfinished(&root).unwrap();
        drop(folder);
    }

    #[test]
    fn killed_after_the_exchange_the_old_cluster_is_put_aside_and_never_thrown_away() {
        let (folder, options) = lay_out("18", Some("15"));
        let root = options.data_dir.clone();
        assert!(matches!(refuse_unfinished(&root), Err(ClusterError::UnfinishedUpgrade { .. })));
        let upgrade = Upgrade::of(options).unwrap();
        assert!(matches!(upgrade.abort(), Err(UpgradeError::OnlyForward)));
        let aside = upgrade.finish().unwrap().unwrap().path;
        assert_eq!((version(&root), version(&aside)), (Some(18), Some(15)));
        assert_eq!(aside, folder.path().canonicalize().unwrap().join("postgres.15"));
        refuse_unfinished(&root).unwrap();
    }

    #[test]
    fn the_exchange_takes_one_step_and_two_old_clusters_get_different_names() {
        let (folder, options) = lay_out("15", Some("18"));
        fs::create_dir(folder.path().join("postgres.15")).unwrap();
        let root = options.data_dir;
        exchange(&root, &staging(&root)).unwrap();
        assert_eq!((version(&root), version(&staging(&root))), (Some(18), Some(15)));
        assert_eq!(set_aside(&root).unwrap().path, folder.path().join("postgres.15-2"));
    }

    #[test]
    fn files_that_are_shared_are_given_back_until_the_new_cluster_has_run() {
        let (folder, options) = lay_out("15", Some("18"));
        let (root, control) = (options.data_dir.clone(), options.data_dir.join("pgdata/global/pg_control"));
        fs::rename(&control, control.with_extension("old")).unwrap();
        fs::write(staging(&root).join(STARTED), "").unwrap();
        let upgrade = Upgrade::of(options.clone()).unwrap();
        assert!(matches!(upgrade.abort(), Err(UpgradeError::OnlyForward)), "it has run");
        fs::remove_file(staging(&root).join(STARTED)).unwrap();
        Upgrade::of(options).unwrap().abort().unwrap();
        assert_eq!(fs::read_to_string(&control).unwrap(), "15");
        drop(folder);
    }

    #[test]
    fn with_nothing_there_there_is_nothing_to_abort_and_nothing_to_convert() {
        let (_folder, options) = lay_out("15", None);
        let upgrade = Upgrade::of(options.clone()).unwrap();
        assert!(matches!(upgrade.abort(), Err(UpgradeError::NothingToAbort(_))));
        fs::remove_dir_all(options.data_dir.join("pgdata")).unwrap();
        let refused = Upgrade::of(options).map(|_| ());
        assert!(matches!(refused, Err(UpgradeError::Cluster(ClusterError::NothingThere { .. }))));
    }
}
