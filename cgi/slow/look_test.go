package slow

import (
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/testkit"
)

// TestLook: a request is looked at whether it is slow or not, and only while it runs.
func TestLook(t *testing.T) {
	entered, letGo := make(chan struct{}), make(chan struct{})
	f := newFixture(t, cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		close(entered)
		<-letGo
		return nil
	}), Limits{After: time.Hour})
	if _, found := f.Look(7); found {
		t.Error("found before it began")
	}
	wait := f.begin(request(7), new(cgitest.Recorder))
	testkit.Receive(t, "its beginning", entered)
	attrs, found := f.Look(7)
	if !found || len(attrs) != 2 || attrs[0].Key != "stage" || attrs[1].Key != "stack" || !strings.Contains(attrs[1].Value.String(), "TestLook") {
		t.Errorf("%v %v", found, attrs)
	}
	if _, found := f.Look(8); found {
		t.Error("another one is found")
	}
	close(letGo)
	wait()
	if _, found := f.Look(7); found {
		t.Error("found after its end")
	}
	if f.log.String() != "" {
		t.Errorf("logged: %s", f.log)
	}
}

type measured struct{ cgi.App }

func (measured) Measure() cgi.AppState { return cgi.AppState{Kind: "scripts"} }

// TestMeasure: the figures of the App that it runs are found through it.
func TestMeasure(t *testing.T) {
	if s, ok := cgi.Measure(&App{App: measured{}}); !ok || s.Kind != "scripts" {
		t.Errorf("%+v %v", s, ok)
	}
}
