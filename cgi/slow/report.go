package slow

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
)

// stageTime is for how long a request must have waited for one thing for the log to say so.
const stageTime = 50 * time.Millisecond

// An inspector is a Worker that has processes.
type inspector interface{ Inspect() process.Inspection }

// report writes the line of a request, unless that has ended meanwhile. looking is held.
func (a *App) report(e *entry) {
	attrs := examine(e)
	now := time.Now()
	a.mu.Lock()
	ended, leftOut := e.ended || a.closed, a.leftOut-1
	e.reporting = false
	var id slog.Attr
	if !ended {
		id = e.request.LogAttr()
		e.logged = true
		a.requests.slows--
		a.leftOut, a.logged = 0, now
	}
	a.mu.Unlock()
	if ended {
		return // it counts as left out
	}
	head := []slog.Attr{id, slog.String("app", a.Name), slog.String("method", e.method),
		slog.String("uri", e.target), slog.String("age", now.Sub(e.begun).Round(time.Millisecond).String())}
	if leftOut > 0 {
		head = append(head, slog.Int("left_out", leftOut))
	}
	a.log().LogAttrs(context.Background(), slog.LevelWarn, "request is slow", append(head, attrs...)...)
}

// describe says what a request waits for.
func describe(stage cgi.Stage, worker cgi.Worker) []slog.Attr {
	if worker == nil {
		return []slog.Attr{slog.String("stage", stage.String())}
	}
	silence, responded := worker.Silence()
	text := stage.String()
	if stage == cgi.StageServing {
		switch {
		case silence < stageTime:
			text = "the application and the client exchange data"
		case responded:
			text = fmt.Sprintf("waiting for the rest of the response; nothing has come for %v", silence.Round(100*time.Millisecond))
		default:
			text = fmt.Sprintf("waiting for the application to respond; nothing has passed for %v", silence.Round(100*time.Millisecond))
		}
	}
	name := "address"
	if _, ok := worker.(inspector); ok {
		name = "program"
	}
	return []slog.Attr{slog.String("stage", text), slog.String(name, worker.Name())}
}

// Look returns what the log would say at the moment of a request under way, slow or not, by its
// ID; found is false if the App has none with that. It takes little more than a second.
func (a *App) Look(id uint64) (attrs []slog.Attr, found bool) {
	a.looking.Lock()
	defer a.looking.Unlock()
	a.mu.Lock()
	e := a.requests.find(id)
	if e != nil {
		e.reporting = true
	}
	a.mu.Unlock()
	if e == nil {
		return nil, false
	}
	attrs = examine(e)
	a.mu.Lock()
	defer a.mu.Unlock()
	e.reporting = false
	return attrs, !e.ended
}

// examine returns what a request waits for, and what works on it. looking is held, and the
// entry is not used for another one meanwhile.
func examine(e *entry) []slog.Attr {
	mark := e.progress.Mark()
	time.Sleep(stageTime)
	stage := e.progress.Stage(mark)
	worker := e.progress.Worker()
	attrs := describe(stage, worker)
	if worker == nil && (stage == cgi.StageServing || stage == cgi.StageBody || stage == cgi.StageClient) {
		attrs = append(attrs, slog.String("stack", stackOf(e.number)))
	}
	return append(attrs, inspect(worker)...)
}

// inspect returns what a worker does, if it has processes.
func inspect(worker cgi.Worker) (attrs []slog.Attr) {
	i, ok := worker.(inspector)
	if !ok {
		return nil
	}
	n := i.Inspect()
	text := n.String()
	if text == "" && len(n.Unread) == 0 {
		text = "the program has ended"
	}
	if text != "" {
		attrs = append(attrs, slog.String("processes", text))
	}
	if len(n.Unread) > 0 {
		attrs = append(attrs, slog.String("unread", strings.Join(n.Unread, "\n")))
	}
	return attrs
}

// LookAt is App.Look for a request that no App has, of which only its worker is known.
func LookAt(worker cgi.Worker) []slog.Attr {
	return append(describe(cgi.StageServing, worker), inspect(worker)...)
}
