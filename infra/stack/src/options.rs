//! What can be chosen about the stack, in code and as flags of the command line alike.

/// How to start the stack. Ports that are not given are free ones.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Options {
    /// Port of the address in front of the functions
    #[arg(long)]
    pub port: Option<u16>,
    /// Port of PostgreSQL
    #[arg(long)]
    pub database_port: Option<u16>,
    /// Port of PgBouncer
    #[arg(long)]
    pub pooler_port: Option<u16>,
    /// Port of the Lambda runtime API
    #[arg(long)]
    pub functions_port: Option<u16>,
    /// Port of DynamoDB
    #[arg(long)]
    pub aws_port: Option<u16>,
    /// Port of the Stripe stand-in
    #[arg(long)]
    pub stripe_port: Option<u16>,
    /// Port of the Resend stand-in
    #[arg(long)]
    pub resend_port: Option<u16>,
    /// Processes of each function
    #[arg(long, default_value_t = 2)]
    pub processes: usize,
    /// Limit callers as in production
    #[arg(long)]
    pub rate_limits: bool,
    /// Let the functions reach the database through PgBouncer
    #[arg(long)]
    pub through_pooler: bool,
    /// Whether Stripe itself is left alone even if the developer's key is set.
    #[arg(skip)]
    pub stand_in_only: bool,
}
