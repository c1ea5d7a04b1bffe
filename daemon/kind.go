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
	"gatehouse/fastcgi/pool"
	"gatehouse/fastcgi/pool/python"
	"gatehouse/fastcgi/upstream"
	"gatehouse/scgi"
	"gatehouse/systemd/sandbox"
)

// A Kind says what an application is, and holds its configuration. Each kind has a file
// kind_NAME.go and a line in kinds.
type Kind interface {
	traits() traits

	// keys returns the keys of the kind. The first has the name of the kind, and decides
	// that an [[app]] is of this kind.
	keys() []Key

	// parse sets the target of --app KIND:TARGET, which is not empty.
	parse(target string) error

	// prepare does everything that can be done before the first request. It returns the
	// application, and a function that closes it. The error has a line for each problem.
	// It may be called again, for another generation.
	prepare(p preparation) (app cgi.App, closeApp func() error, err error)

	// configured returns the application in the form of a configuration.
	configured() string
}

// kinds returns one of each kind, without any configuration.
func kinds() []Kind {
	return []Kind{
		Scripts(new(script.App)),
		Files(new(files.App)),
		FastCGI(new(upstream.App)),
		FastCGIExec(new(pool.App)),
		SCGI(new(scgi.Client)),
		WSGI(new(python.App)),
		Demo(),
		Hello(),
	}
}

// traits describe a kind.
type traits struct {
	name    string // its first key, and its name in --app
	target  string // the placeholder of its target, such as "DIR"; empty if it takes none
	noun    string // what the target is, such as "directory"
	without string // describes an application of another kind, where its keys have no use

	// instead says, for keys and limits of other kinds that have no meaning here, why, and what to
	// write in their place. Others have a general message.
	instead map[string]string

	authorizer bool // it serves FastCGI's Authorizer requests, and no others
	starts     bool // it starts processes …
	unchanged  bool // … as the user of this process
	asSent     bool // if it is the only application, it is not mounted, and gets the path as sent
}

// A preparation holds what applications are prepared with.
type preparation struct {
	place    string           // where the application is configured, for messages
	limits   script.Limits    // of the application, with the shared spool
	reaper   *process.Reaper  // of this process, or nil
	validate bool             // check what goes between application and gateway
	before   *Limits          // of the configuration that this one is to replace, or nil
	sandbox  *sandbox.Sandbox // of the daemon that is explained; nil for that of this process
	log      *slog.Logger
}

// word returns the name of the kind in --app.
func (t traits) word() string { return strings.ReplaceAll(t.name, "_", "-") }

// short returns the form of the kind in --app, with its target.
func (t traits) short() string {
	if t.target == "" {
		return t.word()
	}
	return t.word() + ":" + t.target
}

// long returns the form of the kind in an [[app]].
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

// inFlags returns the kinds in the order of messages about --app: those without a target
// come first.
func inFlags() []Kind {
	list := kinds()
	slices.SortStableFunc(list, func(a, b Kind) int { return cmp.Compare(a.traits().target, b.traits().target) })
	return list
}

// parseKind parses KIND[:TARGET]. The whole flag is used only in messages.
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
	hint := Suggest(word, words)
	if hint == "" {
		hint = "there are " + enumerate("and", inFlags(), traits.short)
	}
	return nil, fmt.Errorf("unknown kind of application %q: %s", word, hint)
}

// misplaced returns the message about a key in an application of the wrong kind.
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
