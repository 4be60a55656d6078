//! Record itself, one call of the table at a time.
//!
//! An operation is deterministic given what the table answers. So an operation that is under way is known by its input and the
//! answers so far: to go on, it is begun again and given them, until it asks something new. What comes of that is kept in a
//! tree, whose nodes are numbers in the states of the model. The changes that it asks for are applied by
//! [`Change::apply`]: the same data that DynamoDB gets, in the other of its two forms.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::{Future, pending},
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use daypass::{
    contract::RecordInput,
    stage::{Named, parse_input},
    timestamp::Timestamp,
};
use daypass_record::{Change, Condition, Item, Record, Store, TableError, Together};
use daypass_testing::samples::aws_error;

use crate::{
    functions::E,
    intern::{FastMap, Interned},
    world::Outcome,
};

/// Which table: that of the transactions, or that of the open roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Of {
    Transactions,
    Places,
}

/// What an operation asks of the tables.
#[derive(Clone, Debug)]
pub enum Question {
    Read(Of, String),
    Change(Of, Change),
    Together(Vec<(Of, Change)>),
    /// An attribute of several items.
    Values(Of, BTreeSet<String>, String),
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// An item by its number.
    Item(Option<u32>),
    Changed(bool),
    /// The parts that are not as expected; none: all was changed.
    Together(Vec<usize>),
    Values(BTreeMap<String, String>),
    /// DynamoDB has not answered.
    Lost,
}

/// Where an operation is.
pub struct Node {
    /// The moment of the invocation.
    pub now: u8,
    input: u32,
    answers: Vec<Answer>,
    pub next: Next,
}

#[derive(Clone)]
pub enum Next {
    Asks(Rc<Question>),
    Ends(Outcome),
}

/// The tables of an operation that is played again.
struct Replay<'a> {
    answers: RefCell<VecDeque<Answer>>,
    asked: RefCell<Option<Question>>,
    items: &'a Items,
}

struct Handle<'a> {
    of: Of,
    replay: &'a Replay<'a>,
}

impl Handle<'_> {
    async fn ask(&self, question: Question) -> Result<Answer, TableError> {
        let known = self.replay.answers.borrow_mut().pop_front();
        match known {
            Some(Answer::Lost) => Err(aws_error("dynamodb:UpdateItem", "InternalServerError").into()),
            Some(answer) => Ok(answer),
            None => {
                *self.replay.asked.borrow_mut() = Some(question);
                pending().await
            }
        }
    }
}

impl Store for Handle<'_> {
    async fn read(&self, id: &impl ToString) -> Result<Option<Item>, TableError> {
        match self.ask(Question::Read(self.of, id.to_string())).await? {
            Answer::Item(item) => Ok(item.map(|it| self.replay.items.get(it).clone())),
            other => panic!("{other:?} is no item"),
        }
    }

    async fn change(&self, change: Change) -> Result<bool, TableError> {
        match self.ask(Question::Change(self.of, change)).await? {
            Answer::Changed(changed) => Ok(changed),
            other => panic!("{other:?} is no verdict"),
        }
    }

    async fn change_all(&self, changes: Vec<(&Self, Change)>) -> Result<Together, TableError> {
        let changes = changes.into_iter().map(|(table, change)| (table.of, change)).collect();
        match self.ask(Question::Together(changes)).await? {
            Answer::Together(unlike) if unlike.is_empty() => Ok(Together::Changed),
            Answer::Together(unlike) => Ok(Together::Unlike(unlike)),
            other => panic!("{other:?} is no verdict"),
        }
    }

    async fn having(
        &self,
        keys: &BTreeSet<String>,
        attribute: &str,
        fits: impl Fn(&str) -> bool,
    ) -> Result<BTreeSet<String>, TableError> {
        match self.ask(Question::Values(self.of, keys.clone(), attribute.to_owned())).await? {
            Answer::Values(values) => Ok(values.into_iter().filter(|(_, it)| fits(it)).map(|(key, _)| key).collect()),
            other => panic!("{other:?} has no values"),
        }
    }

    /// Time is the model's.
    async fn pause(&self, _: Duration) {}
}

/// The items that there ever were, each with its number.
#[derive(Default)]
pub struct Items {
    by_text: FastMap<String, u32>,
    all: Vec<Item>,
}

impl Items {
    pub fn get(&self, id: u32) -> &Item {
        &self.all[id as usize]
    }

    fn of(&mut self, item: Item) -> u32 {
        let text = shown(&AttributeValue::M(item.clone()));
        if let Some(known) = self.by_text.get(&text) {
            return *known;
        }
        let id = u32::try_from(self.all.len()).expect("a number for each");
        self.all.push(item);
        self.by_text.insert(text, id);
        id
    }
}

/// A value in one spelling.
pub fn shown(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => format!("{text:?}"),
        AttributeValue::N(number) => number.clone(),
        AttributeValue::Bool(it) => it.to_string(),
        AttributeValue::L(list) => format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(", ")),
        AttributeValue::Ss(set) => format!("{:?}", set.iter().collect::<BTreeSet<_>>()),
        AttributeValue::M(map) => {
            let fields: BTreeMap<_, _> = map.iter().map(|(name, it)| (name, shown(it))).collect();
            let fields = fields.iter().map(|(name, it)| format!("{name}: {it}"));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        other => panic!("record writes no {other:?}"),
    }
}

/// The content of both tables.
pub type Content = BTreeMap<(Of, String), u32>;

/// Which condition of which change is left out.
pub type Without = fn(&Change, &Condition) -> bool;

/// Record, and the tables that it works on.
pub struct Recorder {
    pub nodes: Vec<Node>,
    inputs: Interned<String>,
    roots: FastMap<(u32, u8), u32>,
    children: FastMap<(u32, Answer), u32>,
    pub items: Items,
    pub contents: Interned<Content>,
    played: FastMap<(u32, u32), (Answer, u32)>,
    moments: [Timestamp; 5],
    pub outcomes: Interned<crate::world::Said>,
    without: Without,
    /// Whether the item of an end has a key that an execution can be named, as once it had.
    end_can_be_named: bool,
}

impl Recorder {
    pub fn new(moments: [Timestamp; 5], without: Without, end_can_be_named: bool) -> Self {
        let mut contents = Interned::default();
        contents.of(Content::new());
        Self {
            nodes: vec![],
            inputs: Interned::default(),
            roots: FastMap::default(),
            children: FastMap::default(),
            items: Items::default(),
            contents,
            played: FastMap::default(),
            moments,
            outcomes: Interned::default(),
            without,
            end_can_be_named,
        }
    }

    /// An operation that begins.
    pub fn begin(&mut self, payload: String, now: u8) -> u32 {
        let input = self.inputs.of(payload);
        if let Some(known) = self.roots.get(&(input, now)) {
            return *known;
        }
        let node = self.node(input, now, vec![]);
        self.roots.insert((input, now), node);
        node
    }

    /// The same after one more answer.
    pub fn answered(&mut self, node: u32, answer: Answer) -> u32 {
        if let Some(known) = self.children.get(&(node, answer.clone())) {
            return *known;
        }
        let Node { now, input, answers, .. } = &self.nodes[node as usize];
        let (now, input, mut answers) = (*now, *input, answers.clone());
        answers.push(answer.clone());
        let child = self.node(input, now, answers);
        self.children.insert((node, answer), child);
        child
    }

    fn node(&mut self, input: u32, now: u8, answers: Vec<Answer>) -> u32 {
        let next = self.play(input, now, &answers);
        let id = u32::try_from(self.nodes.len()).expect("a number for each");
        self.nodes.push(Node { now, input, answers, next });
        id
    }

    fn play(&mut self, input: u32, now: u8, answers: &[Answer]) -> Next {
        const LIMITS: &str = r#"{"open_roles_per_person": 50, "open_roles_per_account": 50, "accounts_per_job": 1}"#;
        let input = match parse_input::<RecordInput>(self.inputs.get(input)) {
            Ok(input) => input,
            Err(failure) => return Next::Ends(Outcome::error(&mut self.outcomes, failure.name.as_str())),
        };
        let answers = RefCell::new(answers.iter().cloned().collect());
        let replay = Replay { answers, asked: RefCell::default(), items: &self.items };
        let [table, places] = [Of::Transactions, Of::Places].map(|of| Handle { of, replay: &replay });
        let record = Record::on(table, places, LIMITS.parse().expect("limits"));
        let ended = match pin!(record.carry_out(input, self.moments[now as usize]))
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(ended) => Some(ended),
            Poll::Pending => None,
        };
        match ended {
            Some(Ok(recorded)) => {
                let value = serde_json::to_value(recorded).expect("an answer");
                Next::Ends(Outcome::answer(&mut self.outcomes, &value))
            }
            Some(Err(error)) => Next::Ends(Outcome::error(&mut self.outcomes, error.name().as_str())),
            None => Next::Asks(Rc::new(replay.asked.take().expect("it waits for the table only"))),
        }
    }

    /// What the tables answer to the question of a node, and what they are then.
    pub fn ask(&mut self, node: u32, content: u32) -> (Answer, u32) {
        if let Some(known) = self.played.get(&(node, content)) {
            return known.clone();
        }
        let Next::Asks(question) = self.nodes[node as usize].next.clone() else { panic!("it has ended") };
        let answered = self.apply(&question, content);
        self.played.insert((node, content), answered.clone());
        answered
    }

    fn key(&self, of: Of, id: &str) -> (Of, String) {
        let is_end = self.end_can_be_named && id.ends_with("#end");
        (of, if is_end { E } else { id }.to_owned())
    }

    fn apply(&mut self, question: &Question, content: u32) -> (Answer, u32) {
        let before = Rc::clone(self.contents.get(content));
        match question {
            // Nobody looked whose it was.
            Question::Read(_, id) if self.end_can_be_named && id.ends_with("#end") => (Answer::Item(None), content),
            Question::Read(of, id) => (Answer::Item(before.get(&(*of, id.clone())).copied()), content),
            Question::Values(of, keys, attribute) => {
                let value = |key: &String| match self.items.get(*before.get(&(*of, key.clone()))?).get(attribute)? {
                    AttributeValue::S(text) => Some((key.clone(), text.clone())),
                    _ => None,
                };
                (Answer::Values(keys.iter().filter_map(value).collect()), content)
            }
            Question::Change(of, change) => {
                let (unlike, after) = self.write(&before, &[(*of, change.clone())]);
                (Answer::Changed(unlike.is_empty()), if unlike.is_empty() { after } else { content })
            }
            Question::Together(changes) => {
                let (unlike, after) = self.write(&before, changes);
                let after = if unlike.is_empty() { after } else { content };
                (Answer::Together(unlike), after)
            }
        }
    }

    fn write(&mut self, before: &Content, changes: &[(Of, Change)]) -> (Vec<usize>, u32) {
        let (mut unlike, mut after) = (vec![], before.clone());
        for (at, (of, change)) in changes.iter().enumerate() {
            let (key, mut change) = (self.key(*of, &change.id), change.clone());
            let all = change.clone();
            change.conditions.retain(|condition| !(self.without)(&all, condition));
            let item = before.get(&key).map(|it| self.items.get(*it));
            match change.apply(item) {
                Some(mut item) => {
                    let name = if *of == Of::Places { "holder" } else { "transaction_id" };
                    item.insert(name.to_owned(), AttributeValue::S(change.id));
                    let item = self.items.of(item);
                    after.insert(key, item);
                }
                None => unlike.push(at),
            }
        }
        let after = if unlike.is_empty() { self.contents.of(after) } else { 0 };
        (unlike, after)
    }
}
