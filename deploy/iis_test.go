package deploy

import (
	"encoding/xml"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"
)

// schema has the elements and attributes of IIS's configuration that the snippets use, from
// IIS_schema.xml and the schemas of the two modules, as Microsoft documents them. The values
// of an attribute, if they are words, follow its name.
var schema = map[string]string{
	"configuration":    "",
	"system.webServer": "",
	"handlers":         "",
	"handlers/add": "name path verb modules=AspNetCoreModuleV2,httpPlatformHandler,FastCgiModule,CgiModule scriptProcessor " +
		"resourceType=File,Directory,Either,Unspecified requireAccess=None,Read,Write,Script,Execute responseBufferLimit allowPathInfo",
	"aspNetCore": "processPath arguments startupTimeLimit shutdownTimeLimit rapidFailsPerMinute requestTimeout stdoutLogEnabled=true,false " +
		"stdoutLogFile processesPerApplication forwardWindowsAuthToken=true,false disableStartUpErrorPage hostingModel=inprocess,outofprocess",
	"httpPlatform": "processPath arguments startupTimeLimit startupRetryCount rapidFailsPerMinute requestTimeout stdoutLogEnabled=true,false " +
		"stdoutLogFile processesPerApplication forwardWindowsAuthToken=true,false",
	"fastCgi": "",
	"fastCgi/application": "fullPath arguments maxInstances idleTimeout activityTimeout requestTimeout instanceMaxRequests " +
		"signalBeforeTerminateSeconds protocol=NamedPipe,Tcp queueLength flushNamedPipe=true,false rapidFailsPerMinute monitorChangesTo " +
		"stderrMode=ReturnStdErrIn500,ReturnGeneric500,IgnoreAndReturn200,TerminateProcess",
	"cgi":                     "timeout createProcessAsUser=true,false createCGIWithNewConsole=true,false",
	"httpErrors":              "existingResponse=Auto,Replace,PassThrough",
	"urlCompression":          "doDynamicCompression=true,false doStaticCompression=true,false",
	"security":                "",
	"requestFiltering":        "allowDoubleEscaping=true,false",
	"requestLimits":           "maxAllowedContentLength maxUrl maxQueryString",
	"isapiCgiRestriction":     "",
	"isapiCgiRestriction/add": "path allowed=true,false description",
}

// TestIISConfig: the snippets for IIS are XML, of elements, attributes and words that IIS
// knows, and those that belong together name the same program.
func TestIISConfig(t *testing.T) {
	files, err := fs.Glob(Files(), "iis/*.config")
	if err != nil || len(files) != 6 {
		t.Fatalf("%q, %v; want 6 files", files, err)
	}
	program := make(map[string]string) // by the file
	for _, file := range files {
		text, err := fs.ReadFile(Files(), file)
		if err != nil {
			t.Fatal(err)
		}
		// PowerShell's > writes UTF-16, and IIS rejects a file that says something else.
		if line, _, _ := strings.Cut(string(text), "\n"); line != `<?xml version="1.0"?>` {
			t.Errorf("%s begins with %s", file, line)
		}
		for i := range len(text) {
			if text[i] >= 0x80 {
				t.Fatalf("%s: byte %d is not ASCII", file, i)
			}
		}
		var within []string
		for d := xml.NewDecoder(strings.NewReader(string(text))); ; {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			switch e := token.(type) {
			case xml.EndElement:
				within = within[:len(within)-1]
			case xml.StartElement:
				name := e.Name.Local
				within = append(within, name)
				if name == "add" || name == "application" {
					name = path.Join(within[len(within)-2], name)
				}
				known, ok := schema[name]
				if !ok {
					t.Errorf("%s: IIS has no element %s", file, strings.Join(within, "/"))
				}
				values := make(map[string]string)
				for _, a := range e.Attr {
					values[a.Name.Local] = a.Value
					checkAttribute(t, file+": "+name, known, a.Name.Local, a.Value)
				}
				switch name {
				case "handlers/add":
					program[file] = values["scriptProcessor"]
				case "fastCgi/application":
					program[file] = values["fullPath"] + "|" + values["arguments"]
				case "isapiCgiRestriction/add":
					program[file] = values["path"]
				}
			}
		}
	}
	for _, module := range []string{"fastcgi", "cgi"} {
		if a, b := program["iis/"+module+".config"], program["iis/"+module+".applicationHost.config"]; a != b || a == "" {
			t.Errorf("%s: the handler runs %q, and %q is registered", module, a, b)
		}
	}
}

// checkAttribute checks an attribute against those that are known.
func checkAttribute(t *testing.T, element, known, name, value string) {
	t.Helper()
	for k := range strings.FieldsSeq(known) {
		k, words, limited := strings.Cut(k, "=")
		if k != name {
			continue
		}
		for word := range strings.SplitSeq(words, ",") {
			if word == value {
				return
			}
		}
		if limited {
			t.Errorf("%s: %s is %q, not one of %s", element, name, value, words)
		}
		return
	}
	t.Errorf("%s has no attribute %s", element, name)
}
