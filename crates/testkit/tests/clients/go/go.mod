module spillway.test/shapes

go 1.19
