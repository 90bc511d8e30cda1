use anyhow::{Context, bail};

/// Which traces are sent: <https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampler {
    /// What whoever called has decided counts.
    follows_parent: bool,
    /// A trace is sent whose id, as a number, is below this.
    below: u64,
}

impl Sampler {
    pub(super) fn parse(name: Option<&str>, ratio: Option<&str>) -> anyhow::Result<Self> {
        let name = name.unwrap_or("parentbased_always_on");
        let (follows_parent, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name),
        };
        let below = match root {
            "always_on" => u64::MAX,
            "always_off" => 0,
            "traceidratio" => {
                let ratio: f64 = ratio.unwrap_or("1").parse().ok().context("OTEL_TRACES_SAMPLER_ARG is no number")?;
                if !(0.0..=1.0).contains(&ratio) {
                    bail!("OTEL_TRACES_SAMPLER_ARG is not between 0 and 1");
                }
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "a part of all ids"
                )]
                let below = (ratio * u64::MAX as f64) as u64;
                below
            }
            _ => bail!("OTEL_TRACES_SAMPLER is none of those that docs/configuration.md names"),
        };
        Ok(Self { follows_parent, below })
    }

    /// `parent` says whether the trace is sent by whoever called, if somebody is believed to have.
    pub(super) fn samples(self, trace: &[u8; 16], parent: Option<bool>) -> bool {
        if let Some(is_sampled) = parent.filter(|_| self.follows_parent) {
            return is_sampled;
        }
        let mut last = [0; 8];
        last.copy_from_slice(&trace[8..]);
        self.below == u64::MAX || u64::from_be_bytes(last) < self.below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(name: &str, ratio: &str, parent: Option<bool>) -> usize {
        let sampler = Sampler::parse(Some(name), Some(ratio)).unwrap();
        (0..1_000).filter(|_| sampler.samples(&kernel::random::bytes(), parent)).count()
    }

    #[test]
    fn each_sampler_sends_what_it_says() {
        assert_eq!((sent("always_on", "0", None), sent("always_off", "1", None)), (1_000, 0));
        assert_eq!((sent("traceidratio", "0", None), sent("traceidratio", "1", None)), (0, 1_000));
        let some = sent("traceidratio", "0.25", None);
        assert!((150..350).contains(&some), "{some}");
        assert_eq!(sent("parentbased_always_off", "1", Some(true)), 1_000);
        assert_eq!(sent("parentbased_always_on", "1", Some(false)), 0);
        assert_eq!(sent("always_on", "1", Some(false)), 1_000);
        assert_eq!(Sampler::parse(None, None).unwrap(), Sampler::parse(Some("parentbased_always_on"), None).unwrap());
    }

    #[test]
    fn what_is_no_ratio_is_refused() {
        for wrong in ["-1", "1.1", "x", "NaN"] {
            assert!(Sampler::parse(Some("traceidratio"), Some(wrong)).is_err(), "{wrong}");
        }
        assert!(Sampler::parse(Some("jaeger_remote"), None).is_err());
    }
}
