package daemon

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/files"
	"gatehouse/cgi/process"
	"gatehouse/cgi/script"
)

// A Kind says what an application is, and holds what is configured of it. Each kind
// has a file kind_NAME.go, and a line in kinds.
type Kind interface {
	traits() traits

	// keys returns its keys. The first has the name of the kind, and makes an [[app]] one
	// of it.
	keys() []Key

	// parse sets the target of --app KIND:TARGET, which is not empty.
	parse(target string) error

	// prepare checks and makes all that can be checked and made without a request, and
	// returns the application, and what ends it. The error has a line for each thing that
	// is wrong. It may be called again, for another generation.
	prepare(p preparation) (app cgi.App, end func() error, err error)

	// configured tells what the application is, as it could be configured.
	configured() string
}

// kinds returns one of each kind, with nothing configured.
func kinds() []Kind {
	return []Kind{
		Scripts(new(script.App)),
		Files(new(files.App)),
		Demo(),
		Hello(),
	}
}

// laterKinds are the keys and kinds that have a meaning, but no code yet.
var laterKinds = []string{"fastcgi", "fastcgi_exec", "scgi"}

// traits are what others need to know of a kind.
type traits struct {
	name    string // its first key, and its name in --app
	target  string // what stands for a target there, such as "DIR"; empty if it has none
	noun    string // what a target is, such as "directory"
	without string // what is said of an application of another kind, which has no use for its keys

	authorizer bool // it answers FastCGI's Authorizer requests in place of the others
	starts     bool // it starts processes …
	unchanged  bool // … as the user of this process, whoever that is
	asSent     bool // alone it is not mounted, and looks at the path as it was sent
}

// A preparation is what an application is prepared with.
type preparation struct {
	place  string          // where it is configured, for messages
	limits script.Limits   // its own, with the spool of all
	reaper *process.Reaper // of the process, or nil
	log    *slog.Logger
}

// word is the name of the kind in --app.
func (t traits) word() string { return strings.ReplaceAll(t.name, "_", "-") }

// short is the kind in --app, with its target.
func (t traits) short() string {
	if t.target == "" {
		return t.word()
	}
	return t.word() + ":" + t.target
}

// long is the kind in an [[app]].
func (t traits) long() string {
	if t.target == "" {
		return t.name + " = true"
	}
	return fmt.Sprintf("%s = %q", t.name, t.target)
}

// enumerate lists kinds for a message, with a conjunction before the last.
func enumerate(conjunction string, list []Kind, form func(traits) string) string {
	var b strings.Builder
	for i, k := range list {
		switch {
		case i == 0:
		case i == len(list)-1:
			b.WriteString(" " + conjunction + " ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(form(k.traits()))
	}
	return b.String()
}

// inFlags returns the kinds as messages about --app list them, those without a target
// first.
func inFlags() []Kind {
	list := kinds()
	slices.SortStableFunc(list, func(a, b Kind) int { return cmp.Compare(a.traits().target, b.traits().target) })
	return list
}

// later returns the one of laterKinds that a name stands for, or "".
func later(name string) string {
	name = strings.ReplaceAll(name, "-", "_")
	if other := otherNames[name]; other != "" {
		name = other
	}
	if slices.Contains(laterKinds, name) {
		return name
	}
	return ""
}

// errLater is about one of laterKinds.
func errLater(name string) error {
	return fmt.Errorf("kind %q is not available in this version: there are %s", traits{name: name}.word(), enumerate("and", inFlags(), traits.word))
}

// parseKind reads KIND[:TARGET]. The whole flag is for messages.
func parseKind(s, flag string) (Kind, error) {
	word, target, given := strings.Cut(s, ":")
	var words []string
	for _, k := range kinds() {
		t := k.traits()
		words = append(words, t.word())
		switch {
		case t.word() != word:
			continue
		case t.target == "" && given:
			return nil, fmt.Errorf("%q: %s takes no target", flag, word)
		case t.target != "" && target == "":
			return nil, fmt.Errorf("%q has no %s: write %s", flag, t.noun, t.short())
		case target == "":
			return k, nil
		}
		return k, k.parse(target)
	}
	if kind := later(word); kind != "" {
		return nil, errLater(kind)
	}
	hint := Suggest(word, words)
	if hint == "" {
		hint = "there are " + enumerate("and", inFlags(), traits.short)
	}
	return nil, fmt.Errorf("unknown kind of application %q: %s", word, hint)
}

// misplaced says that a key stands in an application of a kind that does not have it.
func misplaced(row Key) string {
	owners := slices.DeleteFunc(kinds(), func(k Kind) bool {
		return !slices.ContainsFunc(k.keys(), func(other Key) bool { return other.Name == row.Name })
	})
	keys := row.Name + " goes"
	if row.together != "" {
		keys = row.together + " go"
	}
	return fmt.Sprintf("%s: %s with %s", owners[0].traits().without, keys, enumerate("and", owners, traits.word))
}
