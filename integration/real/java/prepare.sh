javac Job.java
