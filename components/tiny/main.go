// Copies files, for images that have no shell: as "cp [-f] FROM TO" one file, as "install FOLDER" everything in the
// folder of this program's own that is called plugins.
//
// A file is written beside its place and renamed into it, so that whoever runs it meanwhile keeps the old one whole.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	name, args := filepath.Base(os.Args[0]), os.Args[1:]
	var err error
	switch {
	case name == "cp" && len(args) > 0 && args[0] == "-f" && len(args) == 3:
		err = place(args[1], args[2])
	case name == "cp" && len(args) == 2:
		err = place(args[0], args[1])
	case name == "install" && len(args) == 1:
		err = install(args[0])
	default:
		err = fmt.Errorf("usage: cp [-f] FROM TO, or install FOLDER")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

func install(target string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	source := filepath.Join(filepath.Dir(program), "plugins")
	entries, err := os.ReadDir(source)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	for _, entry := range entries {
		if err := place(filepath.Join(source, entry.Name()), filepath.Join(target, entry.Name())); err != nil {
			return err
		}
		fmt.Println(entry.Name())
	}
	return nil
}

func place(from, to string) error {
	if about, err := os.Stat(to); err == nil && about.IsDir() {
		to = filepath.Join(to, filepath.Base(from))
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	about, err := in.Stat()
	if err != nil {
		return err
	}
	draft := filepath.Join(filepath.Dir(to), "."+filepath.Base(to)+".new")
	out, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, about.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, in); err == nil {
		err = out.Close()
	}
	if err != nil {
		os.Remove(draft)
		return err
	}
	return os.Rename(draft, to)
}
