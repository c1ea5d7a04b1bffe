package testkit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

// Exported returns the exported names of the package in a folder, each with its kind,
// a function with its signature.
func Exported(t testing.TB, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no Go files in %s: %v", dir, err)
	}
	names := make(map[string]string)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					names[d.Name.Name] = signature(d.Type)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.ValueSpec:
						for _, n := range s.Names {
							names[n.Name] = d.Tok.String()
						}
					case *ast.TypeSpec:
						names[s.Name.Name] = "type " + types.ExprString(s.Type)
					}
				}
			}
		}
	}
	maps.DeleteFunc(names, func(name, _ string) bool { return !ast.IsExported(name) })
	return names
}

// signature is a function's type without the names of its parameters.
func signature(f *ast.FuncType) string {
	list := func(fields *ast.FieldList) string {
		if fields == nil {
			return "()"
		}
		var all []string
		for _, p := range fields.List {
			for range max(len(p.Names), 1) {
				all = append(all, types.ExprString(p.Type))
			}
		}
		return "(" + strings.Join(all, ", ") + ")"
	}
	return "func" + list(f.Params) + list(f.Results)
}
