//! Panics, which nothing but the hook of the process sees all of.

use std::{
    panic::{self, PanicHookInfo},
    sync::{Arc, Once, PoisonError, RwLock, Weak},
};

use super::{ErrorReports, Inner, Kind, Report, Words};

/// Who is told: one in a program, and one for each node in a test.
static LISTENING: RwLock<Vec<Weak<Inner>>> = RwLock::new(vec![]);

pub(super) fn tell(reports: &Arc<Inner>) {
    static HOOK: Once = Once::new();
    let mut listening = LISTENING.write().unwrap_or_else(PoisonError::into_inner);
    listening.retain(|known| known.strong_count() > 0);
    listening.push(Arc::downgrade(reports));
    drop(listening);
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            report(info);
            before(info);
        }));
    });
}

fn report(info: &PanicHookInfo<'_>) {
    // A text that stands in the program comes as it is; one that was put together may hold a value.
    let literal = info.payload().downcast_ref::<&'static str>().copied();
    let message: Words = literal.unwrap_or("a panic whose message may hold a value").into();
    let place = info.location().map_or_else(|| Words::from("an unknown place"), Words::from);
    // Whoever panics while this is being changed is not told of; nothing in there does.
    let Ok(listening) = LISTENING.try_read() else { return };
    let all: Vec<Arc<Inner>> = listening.iter().filter_map(Weak::upgrade).collect();
    drop(listening);
    for inner in all {
        ErrorReports(inner).record(Report::new(Kind::Panic, place.clone(), "panic", message.clone()));
    }
}
