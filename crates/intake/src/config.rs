/// What the front door takes at the most, next to the limits of HTTP.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Intake")]
pub struct IntakeConfig {
    /// Sales in one batch request; more are answered with 413.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_INTAKE_MAX_BATCH_SALES", default_value_t = 10_000,
          value_parser = positive)]
    pub max_batch_sales: usize,
    /// KiB of memory for all bodies, batches and batches' answers above 16 KiB each; over it requests are answered with 429.
    /// A sale of a batch counts as about 1 KiB while it waits, as it then takes so much.
    #[arg(long, value_name = "KIB", env = "BLACKFRIDAY_INTAKE_MAX_BODIES_KIB", default_value_t = 131_072,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_bodies_kib: u32,
    /// Weather reports under way, also those whose clients have gone; one more is answered with 429.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_INTAKE_MAX_IN_FLIGHT_REPORTS", default_value_t = 4_096,
          value_parser = positive)]
    pub max_in_flight_reports: usize,
    /// Single sales that wait for an upstream call; one more is answered with 429.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_INTAKE_LANE_QUEUE_SALES", default_value_t = 8_192,
          value_parser = positive)]
    pub lane_queue_sales: usize,
    /// Upstream calls of single sales in flight, at the most.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_INTAKE_LANE_CALLS", default_value_t = 16,
          value_parser = positive)]
    pub lane_calls: usize,
    /// Upstream calls of single sales that begin at once; while as many are in flight, another gathers sales, for 5 ms at most.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_INTAKE_LANE_EAGER_CALLS", default_value_t = 2,
          value_parser = positive)]
    pub lane_eager_calls: usize,
    /// Sales in one upstream call of single sales.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_INTAKE_LANE_BATCH_SALES", default_value_t = 512,
          value_parser = positive)]
    pub lane_batch_sales: usize,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        Self {
            max_batch_sales: 10_000,
            max_bodies_kib: 131_072,
            max_in_flight_reports: 4_096,
            lane_queue_sales: 8_192,
            lane_calls: 16,
            lane_eager_calls: 2,
            lane_batch_sales: 512,
        }
    }
}

/// Far above any use, and below where a queue could not be made.
const MOST: usize = 1 << 30;

fn positive(text: &str) -> Result<usize, String> {
    let wrong = || format!("must be a whole number from 1 to {MOST}");
    text.parse().ok().filter(|n| (1..=MOST).contains(n)).ok_or_else(wrong)
}
