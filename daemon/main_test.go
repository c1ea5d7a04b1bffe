package daemon

import (
	"errors"
	"log/slog"
	"testing"

	"gatehouse/cgi/script"
	"gatehouse/fastcgi/pool"
	"gatehouse/internal/testkit"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// checkError compares an error's text; "" is no error.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("error\n%s\nwant\n%s", got, want)
	}
}

// appOptions compare what is configured of applications.
var appOptions = cmp.Options{
	cmp.AllowUnexported(scriptsKind{}, filesKind{}, fastcgiExecKind{}, builtin{}),
	cmpopts.IgnoreUnexported(script.App{}, pool.App{}),
	cmpopts.IgnoreTypes(examined{}),
}

// mountAll prepares and mounts applications. The second result ends them.
func mountAll(apps []App, log *slog.Logger) (mounted, func() error, error) {
	prepared, end, err := prepare(apps, preparation{log: log})
	if err != nil {
		return mounted{}, nil, errors.Join(err, end())
	}
	m, err := mount(apps, prepared, false, nil)
	return m, end, err
}
