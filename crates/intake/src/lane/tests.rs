use blackfriday_event::{Category, Money, ProductId, Quantity, SaleDraft};
use blackfriday_proto::WeatherCommand;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, yield_now};

use super::*;
use crate::logs::Reported;

const LIMIT: Duration = Duration::from_secs(30);

/// Answers a call when it is let go, and notes how many sales each call had.
struct Gate {
    calls: std::sync::Mutex<Vec<usize>>,
    go: Semaphore,
}

impl Gate {
    fn calls(&self) -> Vec<usize> {
        self.calls.lock().expect("not poisoned").clone()
    }

    async fn until_called(&self, times: usize) {
        let called = async {
            while self.calls().len() < times {
                yield_now().await;
            }
        };
        timeout(LIMIT, called).await.unwrap_or_else(|_| panic!("{:?}", self.calls()));
    }
}

impl Upstream for Gate {
    async fn sales(&self, commands: Vec<SaleCommand>, _deadline: Instant) -> Vec<EventOutcome> {
        self.calls.lock().expect("not poisoned").push(commands.len());
        self.go.acquire().await.expect("open").forget();
        commands.into_iter().map(|command| Ok(command.id)).collect()
    }

    async fn weather(&self, command: WeatherCommand, _deadline: Instant) -> Reported {
        Reported::of(Ok(command.id))
    }
}

fn lane(patience: Duration) -> (Arc<Gate>, Lane) {
    let gate = Arc::new(Gate { calls: std::sync::Mutex::default(), go: Semaphore::new(0) });
    let config = IntakeConfig { lane_eager_calls: 2, lane_calls: 4, ..IntakeConfig::default() };
    let registry = Registry::new("test");
    let lane = Lane::with_patience(Arc::clone(&gate), &config, &registry, patience);
    (gate, lane)
}

fn sell(lane: &Lane) -> JoinHandle<bool> {
    let draft = SaleDraft {
        category: Category::Ropa,
        product_id: ProductId::new("camisa").expect("a name"),
        price: Money::from_cents(1_000).expect("in range"),
        quantity: Quantity::new(1).expect("in range"),
    };
    let command = SaleCommand::new(draft, None);
    let (lane, id) = (lane.clone(), command.id);
    tokio::spawn(async move { lane.send(command, Instant::now() + LIMIT).await == Ok(id) })
}

/// Two calls under way, with one sale each.
async fn two_under_way(gate: &Gate, lane: &Lane) -> Vec<JoinHandle<bool>> {
    let mut sales = vec![sell(lane)];
    gate.until_called(1).await;
    sales.push(sell(lane));
    gate.until_called(2).await;
    sales
}

async fn all_are_answered(sales: Vec<JoinHandle<bool>>) {
    for sale in sales {
        assert!(timeout(LIMIT, sale).await.expect("in time").expect("no panic"));
    }
}

#[tokio::test]
async fn while_the_eager_calls_are_under_way_the_next_one_gathers_until_one_lands() {
    let (gate, lane) = lane(LIMIT);
    let mut sales = two_under_way(&gate, &lane).await;
    sales.extend((0..10).map(|_| sell(&lane)));
    // Far more turns than the sales need to arrive.
    for _ in 0..100 {
        yield_now().await;
    }
    assert_eq!(gate.calls(), [1, 1]);
    gate.go.add_permits(1);
    gate.until_called(3).await;
    assert_eq!(gate.calls(), [1, 1, 10]);
    gate.go.add_permits(2);
    all_are_answered(sales).await;
}

#[tokio::test]
async fn calls_that_are_stuck_do_not_hold_the_next_one_for_longer_than_patience() {
    let (gate, lane) = lane(Duration::from_millis(1));
    let mut sales = two_under_way(&gate, &lane).await;
    for calls in 3..=4 {
        sales.push(sell(&lane));
        gate.until_called(calls).await;
    }
    gate.go.add_permits(4);
    all_are_answered(sales).await;
}
