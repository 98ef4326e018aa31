module caption

go 1.18
