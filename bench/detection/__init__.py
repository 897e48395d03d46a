"""How often the detector is wrong, and how soon it is right, where shares move by themselves.

The worlds are not only what the detector assumes (`world`).

- Shares are logit-normal or Beta. They move from segment to segment, by calls or by time, or drift;
  or from day to day; or both.
- Dialers work in waves or in bursts. They close for lunch, for the night, on weekends, or never.
- Usual shares are 1% to 30%, and there are 5 to 5,000 calls an hour.
- Incidents are floods of four minutes, spikes, shares that are raised for hours, ramps over two
  hours. Some begin with the first call of the day, some while the exporter is down.
- The outcome of a bad call is known at once, or after ringing.

# What is measured

*False* is an alarm in an outbound without incidents. Of these outbounds every fourth is new: the
detector judges from its first call on, and has five siblings whose shares differ.

*The bound* of an incident is the moment from which on a test could find it that knows everything:
the share of each call in the incident, and the usual mean and scatter. That is the first call by
which the calls since the incident's start have, in the mean, ``ln ARL`` nats of evidence against
usual calls, and 10 bad ones, the default of ``at_least_bad_calls``::

    sum over calls of p ln p + (1 - p) ln (1 - p)  -  ln BetaBinomial(bad, calls; mean, scatter)

The beta-binomial has one draw of the share for all of them. Without scatter the sum is the number
of calls times the Kullback-Leibler divergence, so that the bound is Lorden's ``ln ARL / KL``. ARL
is 20 months, in looks: in calls or in polls that bring any, whichever are fewer. To the bound are
added the mean delay of a bad call's outcome, the 15 s in which the world makes calls, and the wait
for the next poll (30 s), or for the end of the exporter's outage. Nothing is faster than that.

*Decidable* is an incident whose bound lies before its end. If the exporter was down, it is back
before the end as well.

*Over the bound* are the minutes from the bound to the first alarm, for decidable incidents that
were found. They may be negative: the bound is that of the mean. *To the end* are the minutes from
an incident's end to the end of its last alarm. An alarm up to 10 minutes after the end counts as
found.

| module | answers |
|---|---|
| `world` | Which calls does an outbound have? |
| `bound` | How soon can an incident be found at all? |
| `evaluation` | What does the detector say of an outbound-month? |
"""
