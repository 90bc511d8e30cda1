use std::path::Path;

use super::Report;

/// Below this PostgreSQL may stop at its next checkpoint.
const LOW: u64 = 512 * 1024 * 1024;
/// Below this there is time to make room.
const SOON: u64 = 4 * 1024 * 1024 * 1024;

pub(super) fn look(data_dir: &Path, report: &mut Report) {
    let space = match rustix::fs::statvfs(data_dir) {
        Ok(space) => space,
        Err(error) => {
            return report.error(
                "disk",
                format!("the data directory {} cannot be looked at: {error}", data_dir.display()),
                "name the directory that the installation is served with in ENTREPOT_DATA_DIR",
            );
        }
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let megabytes = free / 1_000_000;
    let finding = format!("{megabytes} MB are free where {} lies", data_dir.display());
    let todo = "make room, or move the data directory to a larger disk; what is written is refused when it is full";
    match free {
        ..LOW => report.error("disk", finding, todo),
        LOW..SOON => report.warning("disk", finding, todo),
        SOON.. => report.ok("disk", finding),
    }
}
