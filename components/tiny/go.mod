module dozen.example/components/tiny

go 1.26.0
