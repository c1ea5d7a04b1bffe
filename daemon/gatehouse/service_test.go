package main

import (
	"slices"
	"strings"
	"testing"
)

// TestPassedOn: a service gets the flags of install that are its own.
func TestPassedOn(t *testing.T) {
	got := passedOn(strings.Fields(`--name n install --account a --validate --http :80 -account=b --log=l --config c --multiplex --app /=hello`), "account")
	want := strings.Fields(`--name n --validate --http :80 --log=l --config c --multiplex --app /=hello`)
	if !slices.Equal(got, want) {
		t.Errorf("%q; want %q", got, want)
	}
}

func TestParseService(t *testing.T) {
	c, _, err := parseService(strings.Fields("install --http 127.0.0.1:8080 --app hello"))
	if err != nil || c.action != "install" || c.name != "gatehouse" || len(c.config.HTTP) != 1 || len(c.config.Apps) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	for args, want := range map[string]string{
		"":                         "service needs to know what to do: write install, uninstall or run",
		"instal":                   `unknown action "instal": did you mean "install"?`,
		"install run":              `service takes one of install, uninstall, run: leave out "run"`,
		`run --name a\b`:           `--name: "a\\b" is not the name of a service: write one without slashes`,
		"run --directory relative": `--directory: "relative" is not a whole path`,
		"install --nmae x":         `unknown flag "--nmae": did you mean "--name"?`,
	} {
		if _, _, err := parseService(strings.Fields(args)); err == nil || err.Error() != want {
			t.Errorf("%s: %v; want %s", args, err, want)
		}
	}
}
