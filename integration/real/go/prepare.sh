CGO_ENABLED=0 GOCACHE="$PWD/cache" GOFLAGS= HOME="$PWD" go build -o job job.go && rm -rf cache
