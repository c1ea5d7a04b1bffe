package cgi

import "time"

// A Usage is what the program took that served a request, or the application that it was
// passed on to, as far as is known when the request has ended.
type Usage struct {
	// Program is the path of a CGI program, or the name of the process or the address that
	// the request was passed on to. It is empty for an application in this process.
	Program string

	// PID is the number of the process, or 0 where it is not known.
	PID int

	// Queued is how long the request has waited for its turn; 0 if it did not.
	Queued time.Duration

	// Exited says that the program has ended, and ExitStatus and Signal how: by a status, or
	// by the signal of that name. A program may outlive its response; what it took then is
	// only in [RequestStats].Programs.
	Exited     bool
	ExitStatus int
	Signal     string

	// User and System are the processor time of a program that has exited, and of its
	// descendants that it has waited for. PeakMemory is the largest resident set of any of
	// them, in bytes. All are 0 where they are not known.
	User, System time.Duration
	PeakMemory   int64
}

// UpdateUsage lets f change what the request has taken so far, for Result.Usage and for who
// looks at requests in flight. It must be called on a goroutine that ServeCGI waits for, and
// f must not block.
func (r *Request) UpdateUsage(f func(*Usage)) {
	if w := r.response; w != nil {
		w.flight.mu.Lock()
		defer w.flight.mu.Unlock()
		f(&w.flight.usage)
		w.flight.used.Store(true)
	}
}

// Usage returns what the request has taken so far.
func (r *Request) Usage() Usage {
	if r.response == nil {
		return Usage{}
	}
	f := &r.response.flight
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.usage
}

// BeginWaiting says that the request waits for its turn, which EndWaiting ends; it returns
// since when.
func (r *Request) BeginWaiting() {
	if w := r.response; w != nil {
		w.flight.waiting.Store(int64(w.ledger.now()) + 1)
	}
}

// EndWaiting says that the request has its turn, or is refused.
func (r *Request) EndWaiting() {
	if w := r.response; w != nil {
		since := w.flight.waiting.Swap(0)
		if since == 0 {
			return
		}
		waited := w.ledger.now() - time.Duration(since-1)
		r.UpdateUsage(func(u *Usage) { u.Queued += max(waited, 1) })
	}
}
