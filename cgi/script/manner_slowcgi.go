package script

import (
	"path/filepath"

	"gatehouse/cgi"
)

// slowcgi is the manner of slowcgi.
type slowcgi struct{}

func (m slowcgi) find(a *App, r *cgi.Request, tr *trace) (*target, error) {
	if name := r.Env.Get("SCRIPT_FILENAME"); name != "" {
		return exactly(a, m, r, fromScriptFilename, name, tr)
	}
	script, _, _ := r.SentPath()
	return exactly(a, m, r, "SCRIPT_NAME", script, tr)
}

func (slowcgi) dir(_ *cgi.Request, t *target) (string, bool) { return filepath.Dir(t.path), false }

func (slowcgi) sent(_ *cgi.Environ, _, last string) string { return last }

func (slowcgi) settings(s []setting, r *cgi.Request, t *target) []setting {
	return pathSettings(s, r, t)
}

func (slowcgi) lookupFailure(f *Finding) *Finding { return f }
func (slowcgi) startFailure(f *Finding) *Finding  { return f }
