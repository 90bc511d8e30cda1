//! The certificate of the listener.

use kernel::Clock;
use url::Url;

use super::Report;
use crate::server::tls::{Certificate, ENDS_SOON, Files};

const CHECK: &str = "tls_certificate";

pub(super) fn look(files: &Files, public_url: Option<&Url>, clock: &Clock, report: &mut Report) {
    let certificate = match Certificate::open(files) {
        Ok(certificate) => certificate,
        Err(error) => {
            let todo = "the program does not start with it; one that serves goes on with the certificate before";
            return report.error(CHECK, format!("{error:#}"), todo);
        }
    };
    let (path, now) = (files.certificate.display(), clock.now());
    let renew = "renew it and put it in its place: it is read again by itself. See whether what renews it works";
    let days = (certificate.not_after - now).num_days();
    if certificate.not_after <= now {
        let finding =
            format!("the certificate in {path} ended on {}: nobody gets in", certificate.not_after.date_naive());
        report.error(CHECK, finding, renew);
    } else if certificate.not_before > now {
        let finding = format!("the certificate in {path} is only good from {}", certificate.not_before);
        report.error(CHECK, finding, "compare this machine's clock, or put the one before it back");
    } else if certificate.not_after - now <= ENDS_SOON {
        report.warning(CHECK, format!("the certificate in {path} ends in {days} days"), renew);
    } else {
        report.ok(CHECK, format!("the certificate in {path} is good for {days} days"));
    }
    if let Some(host) = public_url.and_then(Url::host_str)
        && !certificate.is_for(host)
    {
        report.error(
            CHECK,
            format!("the certificate in {path} is not for {host}, which ENTREPOT_PUBLIC_URL names: browsers refuse it"),
            "get one for that name, or set ENTREPOT_PUBLIC_URL to the name that it is for",
        );
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use chrono::{DateTime, TimeDelta};
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;
    use crate::doctor::Severity;

    const ENDS: &str = "2031-01-01T00:00:00Z";

    /// The worst that is found when it ends so much later than now.
    fn found(left: TimeDelta, url: &str, spoil: fn(&Files)) -> (Severity, String) {
        let folder = tempfile::tempdir().unwrap();
        let files = Files { certificate: folder.path().join("c.pem"), key: folder.path().join("k.pem") };
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["hub.example".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2031, 1, 1));
        fs::write(&files.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
        spoil(&files);
        let clock = Clock::shifted();
        clock.advance(ENDS.parse::<DateTime<chrono::Utc>>().unwrap() - left - clock.now());
        let mut report = Report::default();
        look(&files, Some(&Url::parse(url).unwrap()), &clock, &mut report);
        let worst = report.0.into_iter().max_by_key(|finding| finding.severity).unwrap();
        (worst.severity, worst.finding)
    }

    #[test]
    fn a_certificate_that_ends_has_ended_or_is_for_another_name_is_found() {
        let fine = |left, url| found(left, url, |_| ());
        assert_eq!(fine(TimeDelta::days(15), "https://hub.example").0, Severity::Ok);
        let soon = fine(TimeDelta::days(13), "https://hub.example");
        assert!(soon.0 == Severity::Warning && soon.1.contains("ends in 1"), "{soon:?}");
        let over = fine(TimeDelta::zero(), "https://hub.example");
        assert!(over.0 == Severity::Error && over.1.contains("ended on 2031-01-01"), "{over:?}");
        let early = fine(TimeDelta::days(365 * 40), "https://hub.example");
        assert!(early.0 == Severity::Error && early.1.contains("only good from"), "{early:?}");
        let other = fine(TimeDelta::days(90), "https://other.example");
        assert!(other.0 == Severity::Error && other.1.contains("is not for other.example"), "{other:?}");
        let gone = found(TimeDelta::days(90), "https://hub.example", |files| fs::remove_file(&files.key).unwrap());
        assert!(gone.0 == Severity::Error && gone.1.contains("k.pem cannot be read"), "{gone:?}");
    }
}
