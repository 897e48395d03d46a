"""How unusual the shares of an outbound's calls are, judged call by call.

All of it is pure: no I/O and no clock. The present is an argument.

# The problem

Some share of an outbound's calls ends badly: in an error, unreachable, on voice mail. Which share
is usual differs from outbound to outbound: 1% here, 30% there. A rise must be noticed soon, and a
page at night must be true. Chance alone makes shares differ from hour to hour, and chance is not
all: a list has segments, days differ, and the share itself moves with them, for some outbounds by a
quarter up or down (the standard deviation of its logit, ``log(share / (1 - share))``, is up to
0.3). A test that knows of chance only calls that an incident.

# What is usual

The share of a stretch of calls is a draw from a Beta distribution, whose mean and *scatter* are
those of the outbound. Given the share, each call is bad or not by chance. The number of bad calls
then has the beta-binomial distribution (J. G. Skellam, 1948; `beta_binomial`). Mean and scatter are
learned from the outbound's own last seven days, without the incidents in them, and from what its
siblings have as long as there are few calls (`usual`). As long as nothing is known, nothing is
assumed: there is no usual share, and no evidence.

# How strong the evidence is

An incident is a change point: since some moment, calls are bad with higher odds than usual. Take
the newest calls, since any moment: a *stretch*. It is more likely under raised odds than under what
is usual, by a factor. The logarithm of the factor is the *evidence*, in nats (2.3 nats are a factor
of 10). The best stretch is published, and an alert compares its evidence with a limit (`evidence`).

That is Page's test (E. S. Page, "Continuous inspection schemes", Biometrika 1954) in its likelihood
form. G. Lorden ("Procedures for reacting to a change in distribution", Annals of Mathematical
Statistics 1971) shows that no test with as few false alarms is faster by more than a little: with
one false alarm in ``ARL`` calls, a change is found after about ``ln ARL / KL`` calls, where KL is
the Kullback-Leibler divergence of a call during the incident from a usual call.

Three properties follow.

- Evidence counts calls, not minutes. Waves, lunch, nights and outages need no rule of their own.
- A stretch is one draw of the share. However long it is, it is no evidence against a share that the
  outbound has now and then. So the scatter limits false alarms, also for 5,000 calls an hour.
- The factor has a mean of 1 over usual calls, whatever the stretch. So evidence over a limit is
  rare: for any one stretch its probability is at most ``exp(-limit)``.

The same test, turned round, finds the end of an incident: once the calls since some later moment
say that the share is usual again, no stretch begins before that moment.

# How calls are kept

A call is added where it *started*, whenever it is read, as what its last row says; if a later row
differs, the call is taken away and added again (`counting.row_changes`). So the order of arrival
does not matter, and neither an outage nor a restart does. Calls
are added up in bins, short ones for the last minutes and longer ones for the week (`bins`). The
bins and the ends of incidents are all the state.

| module | answers |
|---|---|
| `signals` | What is watched, and what does a call say of it? |
| `bins` | How many calls started when? |
| `beta_binomial` | How likely is a number of bad calls? |
| `usual` | Which share is usual, and how far does it move by itself? |
| `evidence` | How unusual are the newest calls, and since when? |
| `detector` | All of it together, for one outbound. |
| `saved` | What is saved of it, in pieces of an hour? |
"""
