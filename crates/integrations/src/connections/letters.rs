//! What the people of an organization are told of their connections by mail.

use accounts::notifications::{self, About, Kind, Notice};
use db::TenantTx;
use kernel::{ConnectionId, Secret, UserId};
use kit::{
    App, Problem,
    mail::{self, Letter, Link},
};
use serde_json::json;

use super::store;

/// What they are told beside the mail.
pub(super) fn notice(kind: Kind, id: ConnectionId, store: &str) -> Notice {
    Notice::of(kind).about(About::Connection(id)).with(json!({ "store": store }))
}

/// Tells each owner and whoever made the connection, also by mail where their address is confirmed, in the transaction of the
/// change.
pub(super) async fn tell(
    app: &App,
    tx: &mut TenantTx,
    id: ConnectionId,
    notice: &Notice,
    letter: impl Fn(&App, &str) -> Letter,
) -> Result<(), Problem> {
    let acting = tx.scope().actor().user();
    let keepers = store::keepers(tx, id, acting).await?;
    let told: Vec<UserId> = keepers.iter().map(|keeper| keeper.user_id).collect();
    notifications::tell(tx, &app.clock, &told, notice).await?;
    for keeper in keepers.iter().filter(|keeper| keeper.is_verified) {
        let mut letter = letter(app, &keeper.name);
        letter.paragraphs.insert(0, format!("Hello {},", keeper.name));
        mail::write(tx, app, &keeper.email, &letter, mail::NOTICE_LIVES).await?;
    }
    Ok(())
}

/// The shop takes our access no longer.
pub(super) fn needs_reauth(store: &str, cause: &str) -> impl Fn(&App, &str) -> Letter {
    let (subject, what) =
        (format!("{store} must be connected again"), format!("{store} can no longer be read by Entrepot. {cause}"));
    move |app, _| {
        Letter {
        kind: "connection_needs_reauth",
        subject: subject.clone(),
        paragraphs: vec![
            what.clone(),
            "Until then every call about this store is refused at once. Nothing of it is lost: its settings and logs stay, and \
             what you chose to be read stays as it is."
                .to_owned(),
        ],
        link: home(app),
        closing: "You get this mail as an owner of the organization, or because you connected the store.".to_owned(),
    }
    }
}

/// The account's owner has connected it elsewhere.
pub(super) fn transferred(store: &str) -> impl Fn(&App, &str) -> Letter + use<> {
    let (subject, what) = (
        format!("{store} was disconnected"),
        format!(
            "{store} was connected to another organization, by consent given at the shop itself. It is disconnected here, and \
             our access to it was destroyed."
        ),
    );
    move |app, _| {
        Letter {
        kind: "connection_transferred",
        subject: subject.clone(),
        paragraphs: vec![
            what.clone(),
            "If you did not expect this, ask who administers the shop. Whoever may consent there can connect it here again."
                .to_owned(),
        ],
        link: home(app),
        closing: "You get this mail as an owner of the organization, or because you connected the store.".to_owned(),
    }
    }
}

fn home(app: &App) -> Option<Link> {
    Some(Link { label: "Open Entrepot", url: Secret::new(app.config.public_url.to_string()) })
}
