package relay

import (
	"math"
	"sync/atomic"
	"time"
)

// Limits bound how long a response may take. A zero field, or a negative one, is no
// limit.
type Limits struct {
	FirstByte time.Duration // to its first byte, from the last byte of the request's body
	Silence   time.Duration // without a byte either way, unless the client is waited for
	Run       time.Duration // of the whole
}

// An Activity is what passes between a client and a program or an upstream, as far as
// time limits depend on it. Any goroutine may note and ask.
type Activity struct {
	started  time.Time
	last     atomic.Int64 // when a byte last went either way, since started
	passed   atomic.Int64 // when the body had been passed, since started; 0: not yet
	answered atomic.Bool  // the first byte of the response is there
	sending  atomic.Bool  // waiting for the client, which is nobody else's silence
}

// Start begins the time. It comes before everything else.
func (a *Activity) Start() { a.started = time.Now() }

// StartPassed is Start where there is no body, or it is passed on along with the request.
func (a *Activity) StartPassed() {
	a.Start()
	a.passed.Store(1)
}

// Elapsed returns the time since Start.
func (a *Activity) Elapsed() time.Duration { return time.Since(a.started) }

// ElapsedAt returns what Elapsed does at that time.
func (a *Activity) ElapsedAt(now time.Time) time.Duration { return now.Sub(a.started) }

// Touch notes that a byte has passed, or could have.
func (a *Activity) Touch() { a.last.Store(int64(a.Elapsed())) }

// BodyPassed notes that the body has been passed on, or that nobody takes it any more.
func (a *Activity) BodyPassed() { a.passed.Store(max(1, int64(a.Elapsed()))) }

// Silence returns how long no byte has passed either way, and whether the response has begun.
func (a *Activity) Silence() (d time.Duration, responded bool) {
	return a.Elapsed() - time.Duration(a.last.Load()), a.answered.Load()
}

// Received notes a piece of the response.
func (a *Activity) Received() {
	a.Touch()
	a.answered.Store(true)
}

// SetSending notes that the client is waited for, or no longer.
func (a *Activity) SetSending(on bool) {
	if !on {
		a.Touch()
	}
	a.sending.Store(on)
}

// Expired returns the name of the limit that has passed and its value, or how long it
// takes at least until one can have: math.MaxInt64 if none ever will.
func (a *Activity) Expired(l Limits) (name string, limit, next time.Duration) {
	return a.ExpiredAt(a.Elapsed(), l)
}

// ExpiredAt is Expired for a time that Elapsed or ElapsedAt has returned.
func (a *Activity) ExpiredAt(now time.Duration, l Limits) (name string, limit, next time.Duration) {
	next = math.MaxInt64
	check := func(n string, from, bound time.Duration) {
		switch {
		case name != "" || bound <= 0 || bound == math.MaxInt64:
		case now-from >= bound:
			name, limit = n, bound
		default:
			next = min(next, bound-(now-from))
		}
	}
	check("run", 0, l.Run)
	if !a.answered.Load() {
		from := time.Duration(a.passed.Load())
		if from == 0 {
			from = now // the body is still being passed
		}
		check("first_byte", from, l.FirstByte)
	}
	from := time.Duration(a.last.Load())
	if a.sending.Load() {
		from = now
	}
	check("silence", from, l.Silence)
	return name, limit, next
}
