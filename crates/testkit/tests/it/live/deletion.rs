//! Deleting an organization destroys what opens its secrets, also those of a backup.

use axum::http::StatusCode;
use kit::vault::{
    self, Context, DataKey, KeyIdentity, Keyring, Kind, MASTER_KEY, MasterKey, OpenError, Scope, WrappedKey,
};
use serde_json::json;
use std::sync::Arc;
use testkit::TestApp;
use uuid::Uuid;

use super::list;

/// Credential, connection, sealed; data key, its version, wrapped, under which master key.
type Row = (Uuid, Uuid, Vec<u8>, Uuid, i32, Vec<u8>, String);

/// What a backup of the database holds of one credential.
struct Backup {
    key: WrappedKey,
    context: Context,
    sealed: Vec<u8>,
}

async fn back_up(app: &TestApp, organization: Uuid) -> Vec<Backup> {
    let rows: Vec<Row> = sqlx::query_as(
        "select c.id, c.connection_id, c.sealed, k.id, k.key_version, k.wrapped, k.master_fingerprint
         from credentials c join data_keys k on k.organization_id = c.organization_id and k.id = c.data_key_id
         where c.organization_id = $1",
    )
    .bind(organization)
    .fetch_all(&mut app.superuser().await)
    .await
    .expect("rows");
    let organization = organization.into();
    let backup = |(id, connection, sealed, key, version, wrapped, master): Row| {
        let scope = Scope::Connection(connection.into());
        let version = u32::try_from(version).expect("a version");
        let identity = KeyIdentity { id: key.into(), organization, scope, version };
        let context = Context { organization, scope, kind: Kind::CREDENTIAL, record: id };
        Backup {
            key: WrappedKey { identity, master: master.parse().expect("a fingerprint"), wrapped },
            context,
            sealed,
        }
    };
    rows.into_iter().map(backup).collect()
}

/// A process that was started after the deletion, with the same master key and key store.
async fn keyring(app: &TestApp) -> Keyring {
    let master = MasterKey::from_lookup(|name| (name == MASTER_KEY).then(|| (&app.installation.master_key).into()));
    let store =
        vault::DirectoryKeyStore::open(app.installation.data_dir.path().join("keys")).await.expect("the key store");
    Keyring::new(master.expect("the master key"), Arc::new(store), app.clock().clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_and_the_master_key_open_nothing_of_a_deleted_organization() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let stores = [kata.connect_woocommerce("kavebolt.example").await, kata.connect_shopify("kis-bolt").await];
    let key = kata.create_key("reader").await;
    let there = key.on(&b);
    for store in stores {
        key.get(&list("products", store)).await.expect(StatusCode::OK);
        there.get(&list("products", store)).await.expect(StatusCode::OK);
    }
    let backup = back_up(&a, kata.organization).await;
    assert_eq!(backup.len(), 2);
    let before = keyring(&a).await;
    for Backup { key, context, sealed } in &backup {
        let key: Arc<DataKey> = before.data_key(key).await.expect("opens before");
        vault::open(&key, context, sealed).expect("opens before");
    }

    let path = format!("/api/organizations/{}", kata.organization);
    kata.delete(&path, json!({ "name": "another name" })).await.expect_problem(422, "confirmation_mismatch");
    kata.delete(&path, json!({ "name": kata.organization_name })).await.expect(StatusCode::NO_CONTENT);
    a.within_a_second("the other node refuses", || async {
        !there.get(&list("products", stores[0])).await.status.is_success()
    })
    .await;
    for store in stores {
        let answer = key.get(&list("products", store)).await;
        assert!(matches!(answer.status.as_u16(), 401 | 404), "{}", answer.short());
    }

    let after = keyring(&a).await;
    for Backup { key, .. } in &backup {
        assert!(matches!(after.data_key(key).await, Err(OpenError::KeyDestroyed)), "a new process opens nothing");
        // The nodes that had it in memory recheck it within a second.
        b.eventually("the other node forgets", || async {
            b.advance(chrono::TimeDelta::seconds(1)).await;
            matches!(b.app().keyring.data_key(key).await, Err(OpenError::KeyDestroyed))
        })
        .await;
    }
    a.eventually("the job of the deletion is done", || async {
        let left: i64 =
            sqlx::query_scalar("select count(*) from jobs").fetch_one(&mut a.superuser().await).await.expect("a count");
        left == 0
    })
    .await;
    b.finish().await;
    a.finish().await;
}
