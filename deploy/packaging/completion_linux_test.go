package packaging_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// command returns the gatehouse command, built.
func command(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatehouse")
	if out, err := exec.Command("go", "build", "-o", path, "gatehouse/daemon/gatehouse").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// TestCompletion: the shells complete commands, flags and values.
func TestCompletion(t *testing.T) {
	gatehouse := command(t)
	shells := map[string]string{
		"bash": `. <("$0" completion bash); COMP_WORDS=(gatehouse $1 "$2"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _gatehouse; printf '%s\n' "${COMPREPLY[@]}"`,
		"fish": `$argv[1] completion fish | source; complete -C "gatehouse $argv[2] $argv[3]"`,
	}
	for _, c := range []struct{ before, word, want string }{
		{"", "ch", "check"},
		{"serve", "--acc", "--access-log"},
		{"serve --access-log", "st", "stderr"},
		{"explain --like", "slow", "slowcgi"},
		{"help", "lim", "limits"},
	} {
		for shell, script := range shells {
			args := []string{"-c", script, gatehouse, c.before, c.word}
			if shell == "bash" {
				args = append([]string{"--norc"}, args...)
			} else {
				args = append([]string{"--no-config"}, args...)
			}
			out, err := exec.Command(shell, args...).CombinedOutput()
			if got, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\t"); err != nil || got != c.want {
				t.Errorf("%s: gatehouse %s %s is completed to %q, %v; want %q", shell, c.before, c.word, out, err, c.want)
			}
		}
	}
}

// TestCompletionZsh: zsh completes only in its line editor. So this is what the script tells
// the functions that do it there.
func TestCompletionZsh(t *testing.T) {
	const script = `compdef() { }; _arguments() { print -rl -- "$@" }; compadd() { shift; print -rl -- "$@" }
		. <("$0" completion zsh); words=(gatehouse ${=1} ""); CURRENT=$#words; _gatehouse`
	// As a file of the package, it is loaded when it is called.
	const loaded = `_arguments() { print -rl -- "$@" }; compadd() { shift; print -rl -- "$@" }
		"$0" completion zsh >$2/_gatehouse; fpath=($2); autoload -Uz _gatehouse; words=(gatehouse ${=1} ""); CURRENT=$#words; _gatehouse`
	gatehouse := command(t)
	for before, want := range map[string]string{
		"":        "check",
		"serve":   "*--config=:FILE:_files",
		"explain": "*--like=:fcgiwrap|slowcgi:(fcgiwrap slowcgi)",
		"help":    ":word:(config limits status top abort explain request cgi conform service snippet)",
	} {
		for _, script := range []string{script, loaded} {
			out, err := exec.Command("zsh", "-f", "-c", script, gatehouse, before, t.TempDir()).CombinedOutput()
			if err != nil || !slices.Contains(strings.Split(string(out), "\n"), want) {
				t.Errorf("gatehouse %s is completed from %q, %v; want %q", before, out, err, want)
			}
		}
	}
}
