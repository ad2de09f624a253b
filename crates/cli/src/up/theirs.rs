use blackfriday_broker::kafka::KafkaConfig;
use blackfriday_store::ValkeyConfig;
use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

/// The flags of a server that somebody else runs: it is there if its address was given by a flag. The environment does not count:
/// its variables may name the servers of `up` for other commands.
#[derive(Debug, Clone)]
pub(super) struct Theirs<T>(pub(super) Option<T>);

/// Flags that say where a server is.
pub(super) trait Located: Args {
    /// The id of the one with its address.
    const ADDRESS: &'static str;
}

impl Located for KafkaConfig {
    const ADDRESS: &'static str = "kafka_brokers";
}

impl Located for ValkeyConfig {
    const ADDRESS: &'static str = "valkey_url";
}

impl<T: Located> Args for Theirs<T> {
    fn augment_args(command: Command) -> Command {
        T::augment_args(command)
            .mut_arg(T::ADDRESS, |address| address.hide_default_value(true).env(Resettable::Reset))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<T: Located> FromArgMatches for Theirs<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let is_given = matches.value_source(T::ADDRESS) == Some(ValueSource::CommandLine);
        Ok(Self(is_given.then(|| T::from_arg_matches(matches)).transpose()?))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(arguments: &[&str]) -> Option<KafkaConfig> {
        let command = Theirs::<KafkaConfig>::augment_args(Command::new("up").no_binary_name(true));
        assert_eq!(
            command.get_arguments().find(|it| it.get_id() == "kafka_brokers").and_then(|it| it.get_env()),
            None
        );
        let matches = command.try_get_matches_from(arguments).expect("right");
        Theirs::from_arg_matches(&matches).expect("right").0
    }

    #[test]
    fn a_default_is_nobodys_server() {
        assert!(given(&[]).is_none());
        assert!(given(&["--kafka-username", "somebody"]).is_none());
        let theirs = given(&["--kafka-brokers", "127.0.0.1:9092"]).expect("named");
        assert_eq!(theirs.brokers, "127.0.0.1:9092");
    }
}
