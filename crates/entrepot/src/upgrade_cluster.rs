//! `entrepot upgrade-cluster`: the embedded PostgreSQL, converted for a later version. The cluster is looked at before, the converted one
//! after, and only one that holds the same takes its place.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use db::{
    Db, Logins, PoolSizes,
    backup::{Facts, facts},
    cluster::{Aside, Cluster, Converted, Prepared, Target, Upgrade, UpgradeOptions},
    inspect::Inspection,
};
use kernel::{Clock, DataKeyId};
use kit::vault::{KeyStorePlace, Keyring, MasterKeys};

use crate::{doctor, keys::place, restore, verify};

/// How many organizations' logs are compared with their seals, before and after.
const SAMPLE: usize = 50;

/// What to do with which directory.
pub struct Options {
    pub data_dir: PathBuf,
    pub from_bin: Option<PathBuf>,
    pub to_bin: Option<PathBuf>,
    pub link: bool,
    /// With it, data keys are opened before and after.
    pub master_keys: Option<MasterKeys>,
    /// Where the shards are, if not in the directory beside the data.
    pub key_database: Option<Target>,
}

impl Options {
    fn cluster(&self) -> UpgradeOptions {
        UpgradeOptions {
            data_dir: self.data_dir.join("postgres"),
            from_bin: self.from_bin.clone(),
            to_bin: self.to_bin.clone(),
            link: self.link,
            run_as: db::cluster::RunAs::Auto,
        }
    }
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Upgraded {
    /// Versions; None where an upgrade that was interrupted has only been finished.
    pub converted: Option<(String, String)>,
    /// The directory of the programs that it runs with now.
    pub bin_dir: Option<PathBuf>,
    /// The old cluster.
    pub aside: Aside,
    /// Databases whose indexes were made anew.
    pub reindexed: Vec<String>,
    pub opened: Opened,
}

/// What became of the data keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// So many were opened, after the cluster was converted.
    All(usize),
    NoMasterKey,
    /// There is none in this directory, and no key database was named.
    NoKeyStore(PathBuf),
}

/// Converts the cluster, or finishes what was interrupted.
///
/// # Errors
/// With what is wrong and what to do about it; the cluster is then as it was.
pub async fn run(mut options: Options) -> anyhow::Result<Upgraded> {
    restore::refuse_unfinished(&options.data_dir)?;
    let upgrade = Upgrade::of(options.cluster())?;
    if let Some(aside) = upgrade.finish()? {
        return Ok(Upgraded { converted: None, bin_dir: None, aside, reindexed: vec![], opened: Opened::NoMasterKey });
    }
    let prepared = upgrade.prepare()?;
    let versions = (prepared.from().to_string(), prepared.to().to_string());
    let bin_dir = prepared.to_bin().to_owned();
    let keys = Keys::of(&mut options).await?;
    let keys = keys.as_ref().map_err(Clone::clone);
    let (profile, before) = if prepared.is_converted() {
        // It was looked at before it was converted; what it held cannot be asked any more.
        (None, None)
    } else {
        let looked = old(&prepared, keys.as_ref().ok().copied()).await?;
        (Some(looked.0), Some(looked.1))
    };
    tracing::info!(from = versions.0, to = versions.1, "converting the cluster; the old one is kept");
    let converted = tokio::task::spawn_blocking(move || match profile {
        Some(profile) => prepared.convert(&profile),
        None => prepared.resume(),
    })
    .await??;
    let (reindexed, opened) = new(&converted, before.as_ref(), keys.as_ref().ok().copied()).await?;
    let opened = match keys {
        Ok(_) => Opened::All(opened),
        Err(why_not) => why_not,
    };
    let aside = converted.swap()?;
    Ok(Upgraded { converted: Some(versions), bin_dir: Some(bin_dir), aside, reindexed, opened })
}

/// Whether it could be done. Nothing is changed but that a server that was not stopped properly has recovered.
///
/// # Errors
/// With what stands in the way.
pub async fn check(mut options: Options) -> anyhow::Result<(String, String)> {
    restore::refuse_unfinished(&options.data_dir)?;
    let prepared = Upgrade::of(options.cluster())?.prepare()?;
    let versions = (prepared.from().to_string(), prepared.to().to_string());
    ensure!(!prepared.is_converted(), "an upgrade was interrupted: run it again without --check, which finishes it");
    let keys = Keys::of(&mut options).await?;
    let (profile, _) = old(&prepared, keys.as_ref().ok()).await?;
    tokio::task::spawn_blocking(move || prepared.check(&profile)).await??;
    Ok(versions)
}

/// Gives up an upgrade that was interrupted.
///
/// # Errors
/// When there is none, or when there is only the way forward.
pub fn abort(options: &Options) -> anyhow::Result<()> {
    Ok(Upgrade::of(options.cluster())?.abort()?)
}

/// What opens data keys.
struct Keys {
    keyring: Keyring,
    shards: BTreeSet<DataKeyId>,
}

impl Keys {
    /// Or why data keys cannot be opened: there is no master key, or no key store, as where nothing was ever served.
    async fn of(options: &mut Options) -> anyhow::Result<Result<Self, Opened>> {
        let Some(master) = options.master_keys.take() else { return Ok(Err(Opened::NoMasterKey)) };
        let place = place::of(&options.data_dir, options.key_database.as_ref());
        if let KeyStorePlace::Directory(root) = &place
            && !root.exists()
        {
            return Ok(Err(Opened::NoKeyStore(root.clone())));
        }
        let store = place.existing().await.with_context(|| format!("the key store in {place}"))?;
        let shards = store.list().await?.into_iter().collect();
        Ok(Ok(Self { keyring: Keyring::new(master, store, Clock::system()), shards }))
    }
}

async fn old(prepared: &Prepared, keys: Option<&Keys>) -> anyhow::Result<(db::cluster::Profile, Facts)> {
    let cluster = Cluster::start(prepared.old()).await.context("the cluster as it is")?;
    let looked = async {
        let profile = cluster.profile().await?;
        let facts = facts(&cluster.backup_target(cluster.database())).await?;
        look_at(&cluster, keys).await.context("before anything was done; `entrepot doctor` says more")?;
        anyhow::Ok((profile, facts))
    };
    let looked = looked.await;
    cluster.stop().await?;
    looked
}

async fn new(
    converted: &Converted,
    before: Option<&Facts>,
    keys: Option<&Keys>,
) -> anyhow::Result<(Vec<String>, usize)> {
    let cluster = Cluster::start(converted.new_cluster()?).await.context("the converted cluster does not start")?;
    let looked = async {
        let reindexed = cluster.settle().await?;
        let after = facts(&cluster.backup_target(cluster.database())).await?;
        if let Some(before) = before {
            compare(before, &after)?;
        }
        let opened = look_at(&cluster, keys).await.context("the converted cluster")?;
        anyhow::Ok((reindexed, opened))
    };
    let looked = looked.await;
    cluster.stop().await?;
    looked
}

fn compare(before: &Facts, after: &Facts) -> anyhow::Result<()> {
    // The version is what is to differ.
    let expected = Facts { postgresql: after.postgresql, ..before.clone() };
    ensure!(
        *after == expected,
        "the converted cluster holds something else: schema {} with {:?} and {} data keys, instead of {} with {:?} and {}",
        after.schema,
        after.counts,
        after.data_keys.len(),
        before.schema,
        before.counts,
        before.data_keys.len()
    );
    Ok(())
}

/// Migrations, seals and data keys. How many of the latter were opened.
async fn look_at(cluster: &Cluster, keys: Option<&Keys>) -> anyhow::Result<usize> {
    let target = cluster.backup_target(cluster.database());
    let mut inspection = Inspection::begin(&target).await?;
    let schema = inspection.schema().await?;
    inspection.end().await?;
    ensure!(
        schema.failed.is_empty() && schema.edited.is_empty(),
        "migrations failed ({:?}) or differ from this program's ({:?})",
        schema.failed,
        schema.edited
    );
    let db = Db::connect(&Logins::of_cluster(cluster, cluster.database()), &PoolSizes::default()).await?;
    let compared = verify::verify_some(&db, SAMPLE).await;
    db.close().await;
    if let Some(finding) = compared?.1.first() {
        bail!("{} of {} is not what was sealed: {}", finding.log.as_str(), finding.organization, finding.fault);
    }
    let Some(keys) = keys else { return Ok(0) };
    let opened = doctor::keys::open_all(&target, &keys.keyring, &keys.shards).await?;
    ensure!(opened.unopened.is_empty(), "{} data keys cannot be opened", opened.unopened.len());
    Ok(opened.looked_at)
}

/// For the operator.
pub(crate) fn summary(upgraded: &Upgraded, data_dir: &Path) -> String {
    let Upgraded { converted, bin_dir, aside, reindexed, opened } = upgraded;
    let mut said = match converted {
        Some((from, to)) => format!("The cluster in {} was of PostgreSQL {from}, and is of {to}.", data_dir.display()),
        None => {
            format!("The upgrade of the cluster in {} was interrupted at its end, and is finished.", data_dir.display())
        }
    };
    if converted.is_some() {
        said += &match opened {
            Opened::All(opened) => {
                format!(" It holds what it held: rows were counted, seals compared, {opened} data keys opened.")
            }
            Opened::NoMasterKey => {
                " It holds what it held: rows were counted and seals compared. Without a master key no data key was opened."
                    .to_owned()
            }
            Opened::NoKeyStore(root) => format!(
                " It holds what it held: rows were counted and seals compared. No data key was opened: there is no key store in {}, and \
                 KEY_DATABASE_URL names none.",
                root.display()
            ),
        };
    }
    if !reindexed.is_empty() {
        said += &format!(" Texts are in another order now, so the indexes of {} were made anew.", reindexed.join(", "));
    }
    if let Some(bin_dir) = bin_dir {
        said += &format!(
            "\nServe with the programs in {}: they are found by themselves if they are Debian's or on PATH, and otherwise through \
             ENTREPOT_PG_BIN.",
            bin_dir.display()
        );
    }
    let kept = aside.path.display();
    said += &if aside.is_linked {
        format!("\nWhat is left of the old one is in {kept}. It shares its files and must not be started: remove it.")
    } else {
        format!("\nThe old one is kept in {kept}. Remove it when you need no way back.")
    };
    said
}

#[cfg(test)]
mod tests {
    use db::backup::Counts;
    use kit::vault::MASTER_KEY;

    use super::*;

    fn options(data_dir: &Path, key_database: Option<Target>) -> Options {
        let key = hex::encode(kernel::random::bytes::<32>());
        let master_keys = MasterKeys::from_lookup(|name| (name == MASTER_KEY).then(|| key.clone().into())).unwrap();
        let (data_dir, master_keys) = (data_dir.to_owned(), Some(master_keys));
        Options { data_dir, from_bin: None, to_bin: None, link: false, master_keys, key_database }
    }

    fn said(opened: Opened) -> String {
        let aside = Aside { path: PathBuf::from("/data/postgres.15"), is_linked: false };
        let converted = Some(("15".to_owned(), "18".to_owned()));
        summary(&Upgraded { converted, bin_dir: None, aside, reindexed: vec![], opened }, Path::new("/data"))
    }

    #[tokio::test]
    async fn why_no_data_key_was_opened_is_told_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("keys");
        let none = Keys::of(&mut options(folder.path(), None)).await.unwrap().err();
        assert_eq!(none, Some(Opened::NoKeyStore(root.clone())));
        let nobody = Options { master_keys: None, ..options(folder.path(), None) };
        assert_eq!(Keys::of(&mut { nobody }).await.unwrap().err(), Some(Opened::NoMasterKey));
        // A key database that is named is where the shards are, and has to answer.
        let away = Target::parse("postgres://keys:x@localhost:5432/keys?host=%2Fnowhere&sslmode=disable").unwrap();
        let refused = Keys::of(&mut options(folder.path(), Some(away))).await.err().expect("nobody answers there");
        assert!(format!("{refused:#}").contains("the key database does not answer"), "{refused:#}");
        KeyStorePlace::Directory(root).open().await.unwrap();
        assert!(Keys::of(&mut options(folder.path(), None)).await.unwrap().is_ok());

        assert!(said(Opened::All(3)).contains("3 data keys opened"));
        assert!(said(Opened::NoMasterKey).contains("Without a master key"));
        let said = said(Opened::NoKeyStore(PathBuf::from("/data/keys")));
        assert!(said.contains("KEY_DATABASE_URL names none") && !said.contains("master key"), "{said}");
    }

    #[test]
    fn a_converted_cluster_that_lacks_a_row_or_a_key_is_refused() {
        let counts = Counts { organizations: 1, users: 2, members: 3, api_keys: 4, connections: 5, credentials: 6 };
        let before = Facts {
            postgresql: 15,
            schema: 21,
            master_key: Some("m".into()),
            master_keys: vec!["m".into()],
            key_store: Some("k".into()),
            counts,
            data_keys: vec![],
        };
        let after = Facts { postgresql: 18, ..before.clone() };
        compare(&before, &after).unwrap();
        for other in [
            Facts { schema: 20, ..after.clone() },
            Facts { key_store: None, ..after.clone() },
            Facts { counts: Counts { credentials: 5, ..counts }, ..after.clone() },
        ] {
            let refused = compare(&before, &other).unwrap_err().to_string();
            assert!(refused.contains("holds something else"), "{refused}");
        }
    }
}
