use super::registry::Question;
use crate::base::ConnId;
use crate::state::ClusterRequest;
use alloc::collections::BTreeMap;
use alloc::string::String;

/// Maximum number of questions that wait.
const QUESTIONS_MAX: usize = 10_000;

/// The questions of logins that the first shard answers later, because it asks other hosts or the broker first.
///
/// A connection has one at a time.
#[derive(Debug, Default)]
pub(super) struct Delayed {
    /// The questions, each with the number of its wait.
    questions: BTreeMap<ConnId, (u64, Question)>,
    /// The claims at the broker.
    claims: BTreeMap<ClusterRequest, (u64, ConnId)>,
    /// The waits for other hosts, each with its user.
    waits: BTreeMap<u64, (ConnId, String)>,
    /// The wait of each user.
    users: BTreeMap<String, u64>,
    count: u64,
}

impl Delayed {
    pub(super) fn is_full(&self) -> bool {
        self.questions.len() >= QUESTIONS_MAX
    }

    /// Keeps a question until the broker has answered a claim.
    pub(super) fn add_claim(&mut self, request: ClusterRequest, conn: ConnId, question: Question) {
        let number = self.add(conn, question);
        self.claims.insert(request, (number, conn));
    }

    pub(super) fn has_claim(&self, request: ClusterRequest) -> bool {
        self.claims.contains_key(&request)
    }

    /// Returns the question of a claim, unless its connection has ended.
    pub(super) fn take_claim(&mut self, request: ClusterRequest) -> Option<Question> {
        let (number, conn) = self.claims.remove(&request)?;
        self.take(conn, number)
    }

    /// Keeps a question until other hosts have had time to object. Returns the number of the wait.
    pub(super) fn add_wait(&mut self, user: &str, conn: ConnId, question: Question) -> u64 {
        let number = self.add(conn, question);
        self.waits.insert(number, (conn, user.into()));
        self.users.insert(user.into(), number);
        number
    }

    /// Ends a wait for other hosts. Returns its question, unless its connection has ended.
    pub(super) fn take_wait(&mut self, number: u64) -> Option<Question> {
        let (conn, user) = self.waits.remove(&number)?;
        self.users.remove(&user);
        self.take(conn, number)
    }

    /// Returns the wait for other hosts of a user.
    pub(super) fn wait_of(&self, user: &str) -> Option<u64> {
        self.users.get(user).copied()
    }

    /// Forgets the question of a connection that has ended.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.questions.remove(&conn);
    }

    fn add(&mut self, conn: ConnId, question: Question) -> u64 {
        self.count += 1;
        self.questions.insert(conn, (self.count, question));
        self.count
    }

    fn take(&mut self, conn: ConnId, number: u64) -> Option<Question> {
        let is_same = self.questions.get(&conn).is_some_and(|(kept, _)| *kept == number);
        if is_same { self.questions.remove(&conn).map(|(_, question)| question) } else { None }
    }
}
