//! Many tries of a campaign on one module, with one session kept from try to try.
//!
//! The recording of a try begins with the events that opened its session and goes on with its own, as if nothing had been in
//! between. So it is the recording of an ordinary case, judged by the ordinary judge, and by `atspec judge` again; only that the
//! judge looks at the opening once and goes on from there at each try.

use std::{fmt, io};

use atspec_model::{
    case::{Case, Context, Step},
    judge::{Seen, judge_from},
    timeline::{Bindings, Event, Timeline},
    verdict::{Judgement, Verdict},
};

use crate::{
    bench::{After, Bench},
    link::{Address, Link},
};

/// How often a session is asked for before the module counts as lost.
const OPENINGS: u32 = 3;

/// Switches a module off and on, and tells where it is then.
pub type Power<'b> = Box<dyn FnMut() -> io::Result<Address> + 'b>;

/// A module at the disposal of campaigns.
pub struct Sitting<'b, 'p> {
    bench: &'b mut Bench<'p>,
    power: Option<Power<'b>>,
    standing: Option<Standing<'p>>,
    sessions: u32,
    sendings: usize,
}

/// A session that stands.
struct Standing<'p> {
    campaign: String,
    opening: Vec<Step>,
    bindings: Bindings,
    events: Vec<Event>,
    /// What the judge sees in these events.
    seen: Seen<'p>,
}

/// What a try came to.
#[derive(Debug)]
pub struct Tried {
    /// The case that was made of it.
    pub case: Case,
    /// How many of its first steps opened the session.
    pub opening: usize,
    /// Everything seen, from the opening of the session on.
    pub timeline: Timeline,
    /// Its verdict.
    pub judgement: Judgement,
}

impl fmt::Debug for Sitting<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sitting").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}

impl Drop for Sitting<'_, '_> {
    fn drop(&mut self) {
        self.bench.switchable(false);
    }
}

impl<'b, 'p> Sitting<'b, 'p> {
    /// Sits down at a module that answers. `power` brings back one that does not any more.
    pub fn new(bench: &'b mut Bench<'p>, power: Option<Power<'b>>) -> Self {
        bench.switchable(power.is_some());
        Self { bench, power, standing: None, sessions: 0, sendings: 0 }
    }

    /// Cases driven so far.
    pub fn sendings(&self) -> usize {
        self.sendings
    }

    /// Drives a case of which the first steps (how many, `make` tells beside it) open a session that may stand already. `Err`
    /// where the module cannot be brought to it any more.
    pub async fn attempt(
        &mut self,
        campaign: &str,
        make: &dyn Fn(&Context<'_>) -> (Case, usize),
    ) -> Result<Tried, After> {
        self.sendings += 1;
        let standing = self.standing.take().filter(|s| s.campaign == campaign);
        if let Some(standing) = standing {
            let (case, opening) = make(&self.context(&standing.bindings));
            if opening > 0 && case.steps.get(..opening) == Some(&standing.opening) {
                return self.go_on(case, opening, standing).await;
            }
            self.close(&case).await?;
        }
        self.begin(campaign, make).await
    }

    /// Switches the module off and on, where something can; else the next try has a session of its own.
    pub async fn refresh(&mut self) -> Result<(), After> {
        if self.power.is_none() {
            return self.close_session().await;
        }
        self.standing = None;
        self.revive(After::Dead(String::new())).await
    }

    /// Ends the session that stands.
    pub async fn close_session(&mut self) -> Result<(), After> {
        match self.standing.take() {
            Some(standing) => {
                let case = bare(standing.opening);
                self.close(&case).await
            }
            None => Ok(()),
        }
    }

    fn context<'c>(&self, bindings: &'c Bindings) -> Context<'c>
    where
        'p: 'c,
    {
        Context { profile: self.bench.profile(), bindings }
    }

    /// Opens a session of its own for the case and drives it.
    async fn begin(
        &mut self,
        campaign: &str,
        make: &dyn Fn(&Context<'_>) -> (Case, usize),
    ) -> Result<Tried, After> {
        for left in (0..OPENINGS).rev() {
            self.sessions += 1;
            let bindings = self.bench.bindings(campaign, self.sessions);
            let (case, opening) = make(&self.context(&bindings));
            if opening == 0 {
                let (timeline, after) = self.bench.run(&case, bindings).await;
                self.revive(after).await?;
                return Ok(judged(self.nothing(), case, opening, timeline));
            }
            match self.bench.open_session(&case, opening, &bindings).await? {
                (events, true) => {
                    let opening_steps = case.steps[..opening].to_vec();
                    let campaign = campaign.to_owned();
                    let mut seen = self.nothing();
                    seen.follow(&case, &events);
                    let standing = Standing { campaign, opening: opening_steps, bindings, events, seen };
                    return self.go_on(case, opening, standing).await;
                }
                (events, false) => {
                    self.close(&case).await?;
                    if left == 0 {
                        let timeline = self.bench.timeline(&case, bindings, events);
                        return Ok(judged(self.nothing(), case, opening, timeline));
                    }
                }
            }
        }
        Err(After::Dead("no session could be opened".to_owned()))
    }

    /// Drives the rest of a case on a session that stands, and keeps the session where nothing is wrong.
    async fn go_on(&mut self, case: Case, opening: usize, standing: Standing<'p>) -> Result<Tried, After> {
        let (events, stands) = self.bench.go_on(&case, opening, standing.events.clone()).await?;
        let timeline = self.bench.timeline(&case, standing.bindings.clone(), events);
        let tried = judged(standing.seen.clone(), case, opening, timeline);
        let good = matches!(tried.judgement.verdict, Verdict::Pass | Verdict::Warning);
        if stands && good {
            self.standing = Some(standing);
        } else {
            self.close(&tried.case).await?;
        }
        Ok(tried)
    }

    /// What the judge sees before anything happens.
    fn nothing(&self) -> Seen<'p> {
        Seen::new(self.bench.profile())
    }

    async fn close(&mut self, case: &Case) -> Result<(), After> {
        let after = self.bench.close_session(case).await;
        self.revive(after).await
    }

    /// Brings a module back that does not answer any more, where something can.
    async fn revive(&mut self, after: After) -> Result<(), After> {
        let why = match after {
            After::Ready => return Ok(()),
            After::Dead(why) | After::PortGone(why) => why,
            After::Interrupted => return Err(After::Interrupted),
        };
        let Some(power) = &mut self.power else { return Err(After::Dead(why)) };
        let address =
            power().map_err(|e| After::Dead(format!("{why}; and it cannot be switched on: {e}")))?;
        let baud = self.bench.baud();
        let link = Link::open(&address, baud).await.map_err(|e| After::PortGone(e.to_string()))?;
        self.bench.relink(link);
        self.bench.bring_up().await.map(|_| ())
    }
}

/// Judges a recording of which the judge has `seen` the first events.
fn judged(seen: Seen<'_>, case: Case, opening: usize, timeline: Timeline) -> Tried {
    let judgement = judge_from(seen, &case, &timeline);
    Tried { case, opening, timeline, judgement }
}

/// A case with nothing but these steps.
fn bare(steps: Vec<Step>) -> Case {
    Case {
        id: String::new(),
        asks: String::new(),
        cites: Vec::new(),
        level: atspec_model::mqtt::Level::Must,
        steps,
        expect: Vec::new(),
        anonymous: false,
        unmet: None,
        policy: None,
    }
}
